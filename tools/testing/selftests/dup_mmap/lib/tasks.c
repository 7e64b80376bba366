// SPDX-License-Identifier: GPL-2.0
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "counters.h"
#include "io.h"
#include "tasks.h"

const char *dm_status_of(pid_t tid, const char *field)
{
	static char path[64], text[4096], key[32];
	const char *p;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	snprintf(key, sizeof(key), "\n%s:\t", field);
	dm_read_path(path, text, sizeof(text));
	p = strstr(text, key);
	return p ? p + strlen(key) : NULL;
}

char dm_state_of(pid_t tid)
{
	/* Who wants to read its stat waits for the end of its exec. */
	const char *state = dm_status_of(tid, "State");

	return state ? *state : '?';
}

bool dm_sleeps_in(pid_t tid, const char *function)
{
	static char path[64], text[8192];
	char state = dm_state_of(tid);

	if (state != 'D' && state != 'S')
		return false;
	snprintf(path, sizeof(path), "/proc/%d/stack", tid);
	return dm_read_path(path, text, sizeof(text)) > 0 && strstr(text, function);
}

bool dm_has_ended(void *pid)
{
	siginfo_t info = {};

	return !waitid(P_PID, *(pid_t *)pid, &info, WEXITED | WNOHANG | WNOWAIT) &&
		info.si_pid;
}

bool dm_wait_until(bool (*is_so)(void *arg), void *arg)
{
	double since = dm_seconds(), waited = 0;
	bool so;

	for (; !(so = is_so(arg)) && waited < DM_LIMIT; waited = dm_seconds() - since) {
		/* Most of it is a matter of microseconds, and to sleep may take a tick. */
		if (waited < 0.01)
			sched_yield();
		else
			usleep(1000);
	}
	return so;
}
