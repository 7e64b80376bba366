// SPDX-License-Identifier: GPL-2.0
/*
 * on_terminal command [args]: run it on a terminal of its own, and print what it writes
 * there. Exits as the command, or with 1.
 */
#include <pty.h>
#include <stdio.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char text[4096];
	int fd, status;
	ssize_t len;
	pid_t pid;

	if (argc < 2) {
		fprintf(stderr, "usage: %s command [args]\n", argv[0]);
		return 1;
	}
	pid = forkpty(&fd, NULL, NULL, NULL);
	if (pid < 0) {
		perror("forkpty");
		return 1;
	}
	if (!pid) {
		struct termios t;

		/* A newline is a newline. */
		if (!tcgetattr(1, &t)) {
			t.c_oflag &= ~OPOST;
			tcsetattr(1, TCSANOW, &t);
		}
		execvp(argv[1], argv + 1);
		perror(argv[1]);
		_exit(1);
	}
	/* Once nobody has it any more it cannot be read. */
	while ((len = read(fd, text, sizeof(text))) > 0) {
		if (write(1, text, len) != len)
			return 1;
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 1;
	return WEXITSTATUS(status);
}
