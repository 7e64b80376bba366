// SPDX-License-Identifier: GPL-2.0
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "beside.h"
#include "fork.h"

static pid_t beside[DM_MAX_BESIDE];
static int nr_beside;

bool dm_fork_beside(void (*what)(int arg), int arg)
{
	pid_t pid;

	if (nr_beside == DM_MAX_BESIDE)
		return false;
	pid = dm_bare_fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			what(arg);
	}
	if (pid > 0)
		beside[nr_beside++] = pid;
	return pid > 0;
}

void dm_end_beside(void)
{
	while (nr_beside) {
		kill(beside[--nr_beside], SIGKILL);
		waitpid(beside[nr_beside], NULL, 0);
	}
}

void dm_forget_beside(void)
{
	nr_beside = 0;
}
