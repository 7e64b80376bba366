// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "counters.h"
#include "io.h"
#include "tasks.h"

char dm_state_of(pid_t tid)
{
	static const char key[] = "\nState:\t";
	static char path[64], text[4096];
	const char *p;

	/* Who wants to read its stat waits for the end of its exec. */
	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	dm_read_path(path, text, sizeof(text));
	p = strstr(text, key);
	return p ? p[strlen(key)] : '?';
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

bool dm_wait_until(bool (*is_so)(void *arg), void *arg)
{
	double since = dm_seconds();
	bool so;

	while (!(so = is_so(arg)) && dm_seconds() - since < DM_LIMIT)
		usleep(1000);
	return so;
}
