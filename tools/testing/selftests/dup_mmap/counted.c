// SPDX-License-Identifier: GPL-2.0
/*
 * counted file command...: run a command, count before it and after it, and write to the
 * file what it has not given back, or what the kernel has complained about: nothing, if
 * all is well.
 *
 * The command is in a cgroup of its own, which ends with it. Exits as the command does, or
 * with 2 if nothing can be counted.
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dup_mmap.h"

static struct dm_counters before;
static struct dm_cgroup cg;

static int refuse(const char *why)
{
	fprintf(stderr, "counted: %s\n", why);
	dm_cgroup_leave(&cg);
	return 2;
}

int main(int argc, char **argv)
{
	unsigned long taint;
	const char *why;
	FILE *file;
	int status;
	pid_t pid;

	if (argc < 3)
		return refuse("usage: counted file command...");
	why = dm_cgroup_enter(&cg);
	if (!why)
		why = dm_uncountable();
	if (why)
		return refuse(why);
	taint = dm_taint();
	dm_get_counters(&before);
	pid = fork();
	if (!pid) {
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return refuse("the command can't be run");
	why = dm_check_counters(&before, DM_PATIENT);
	if (!*why)
		why = dm_check_taint(taint);
	file = fopen(argv[1], "w");
	if (!file || fputs(why, file) < 0 || fclose(file))
		return refuse("the file can't be written");
	dm_cgroup_leave(&cg);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
