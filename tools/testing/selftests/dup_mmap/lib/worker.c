// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <unistd.h>

#include "tasks.h"
#include "worker.h"

bool dm_worker_open(struct dm_worker *w)
{
	return !pipe(w->go);
}

void dm_tell(struct dm_worker *w)
{
	w->done = false;
	/* If it can't be told, it will not be done. */
	if (write(w->go[1], "g", 1) != 1)
		perror("pipe");
}

bool dm_tell_to_end(struct dm_worker *w)
{
	return write(w->go[1], "q", 1) == 1;
}

bool dm_is_done(void *arg)
{
	struct dm_worker *w = arg;

	return __atomic_load_n(&w->done, __ATOMIC_SEQ_CST);
}

bool dm_is_asleep(void *arg)
{
	struct dm_worker *w = arg;

	return dm_state_of(w->tid) == 'D';
}

bool dm_wait_to_go(struct dm_worker *w)
{
	char c;

	return read(w->go[0], &c, 1) == 1 && c == 'g';
}

void dm_done(struct dm_worker *w, const char *why)
{
	snprintf(w->why, sizeof(w->why), "%s", why);
	__atomic_store_n(&w->done, true, __ATOMIC_SEQ_CST);
}
