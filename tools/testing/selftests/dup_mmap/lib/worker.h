/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A task that does one thing each time it is told to, and says how that went. It is in
 * memory that both share.
 */
#ifndef DM_WORKER_H
#define DM_WORKER_H

#include <stdbool.h>
#include <sys/types.h>

struct dm_worker {
	pid_t tid;
	int go[2];		/* a pipe */
	bool done;
	char why[128];		/* "" or what is wrong */
};

bool dm_worker_open(struct dm_worker *w);

/* For others: to do it, to end, and whether it is done (a struct dm_worker). */
void dm_tell(struct dm_worker *w);
bool dm_tell_to_end(struct dm_worker *w);
bool dm_is_done(void *arg);
/* Or whether it waits for a lock. */
bool dm_is_asleep(void *arg);

/* For the task. False: it is to end. */
bool dm_wait_to_go(struct dm_worker *w);
void dm_done(struct dm_worker *w, const char *why);

#endif /* DM_WORKER_H */
