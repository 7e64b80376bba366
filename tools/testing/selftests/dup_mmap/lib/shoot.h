/* SPDX-License-Identifier: GPL-2.0 */
/* Forks with one failure armed, and the judgement of each. */
#ifndef DM_SHOOT_H
#define DM_SHOOT_H

#include "points.h"
#include "record.h"

/*
 * One fork with the failure armed, and everything that can be judged cheaply:
 * what fork() said, the record, the counters, the parent and Committed_AS.
 */
const char *dm_shoot(enum dm_point point, int index, int err,
		     const char *recovery, struct dm_record *rec);

/*
 * Every point at the VMA of addr, then those of the VMA after it, so that the
 * first one has been copied and is torn down. check(arg) returns "" while the memory
 * of this process is as it should be.
 */
const char *dm_shoot_around(const void *addr, const char *recovery,
			    const char *(*check)(void *arg), void *arg);

int dm_nr_fds(void);

#endif /* DM_SHOOT_H */
