// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fork.h"

pid_t dm_bare_fork(void)
{
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

pid_t dm_fork(int *err)
{
	pid_t pid = dm_bare_fork();

	if (!pid)
		syscall(SYS_exit_group, 0);
	*err = pid < 0 ? errno : 0;
	return pid;
}

int dm_fork_run(int (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid = dm_bare_fork();

	if (!pid)
		syscall(SYS_exit_group, fn(arg));
	if (pid < 0)
		return -errno;
	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int dm_try_fork(void)
{
	int err;
	pid_t pid = dm_fork(&err);

	if (pid > 0)
		waitpid(pid, NULL, 0);
	return err;
}

void dm_without_rseq(char **argv)
{
	if (!getenv("GLIBC_TUNABLES") &&
	    !setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1))
		execv("/proc/self/exe", argv);
}
