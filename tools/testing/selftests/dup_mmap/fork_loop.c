// SPDX-License-Identifier: GPL-2.0
/*
 * fork_loop [-f] [-n times] [file]: fork so often, or until SIGTERM, then print how it
 * went.
 *
 * -f asks for injected failures (make-it-fail). The file gets one line after
 * the first fork, so that a script can wait for that. Exits 0 if every fork
 * worked or said ENOMEM, 1 otherwise.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dup_mmap.h"

int main(int argc, char **argv)
{
	unsigned long ok = 0, enomem = 0, other = 0, left = ULONG_MAX;
	const struct timespec now = { 0 };
	bool ask = false, told = false;
	int opt, fd, err, status;
	sigset_t term;
	pid_t pid;
	char *p;

	while ((opt = getopt(argc, argv, "fn:")) != -1) {
		switch (opt) {
		case 'f':
			ask = true;
			break;
		case 'n':
			left = strtoul(optarg, NULL, 10);
			break;
		default:
			fprintf(stderr, "usage: %s [-f] [-n times] [file]\n", argv[0]);
			return 1;
		}
	}
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	if (ask && dm_write_path("/proc/self/make-it-fail", "1")) {
		fprintf(stderr, "%s: can't write /proc/self/make-it-fail\n", argv[0]);
		return 1;
	}
	/* Something to copy and to give back. */
	p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p != MAP_FAILED)
		memset(p, 1, 1 << 20);

	while (left-- && sigtimedwait(&term, NULL, &now) != SIGTERM) {
		pid = dm_fork(&err);
		if (pid > 0) {
			ok++;
			if (waitpid(pid, &status, 0) != pid || status)
				other++;
		} else if (err == ENOMEM) {
			enomem++;
		} else if (err != EAGAIN) {
			other++;
		}
		if (!told && optind < argc) {
			told = true;
			fd = open(argv[optind], O_WRONLY);
			if (fd >= 0) {
				if (write(fd, "\n", 1) != 1)
					other++;
				close(fd);
			}
		}
	}
	printf("ok %lu ENOMEM %lu other %lu\n", ok, enomem, other);
	return !!other;
}
