/* SPDX-License-Identifier: GPL-2.0 */
/* Forks with one failure armed, and the judgement of each. */
#ifndef DM_SHOOT_H
#define DM_SHOOT_H

#include <sys/types.h>

#include "maps.h"
#include "points.h"
#include "record.h"

/*
 * Committed_AS is exact but belongs to the whole system: another process may map
 * something in between. What a failed fork keeps, it keeps every time, so the
 * fork is made again, so often at most, until Committed_AS has not moved. And
 * until nobody else has forked, where the counters are to be exact.
 */
#define DM_TRIES	4

/* One fork, and what it moved outside of this process. */
struct dm_shot {
	int err;		/* of fork(); 0: it worked */
	struct dm_stats before, after;
	long committed;		/* so many kB more in Committed_AS */
	unsigned long ns;	/* that fork() took */
};

/*
 * how() forks as dm_fork() does, and NULL is just that; 0 instead of a pid says
 * that it could not try. If the fork works, the child has ended by itself
 * afterwards, and no failure is counted.
 */
const char *dm_watch_fork(struct dm_shot *shot, pid_t (*how)(void *arg, int *err),
			  void *arg);
/*
 * That fork has failed in dup_mmap(), at the step that the record names: ENOMEM,
 * counted once, a record of this process and as the model has it.
 */
const char *dm_judge_shot(const struct dm_shot *shot, const struct dm_maps *maps,
			  const char *recovery, struct dm_record *rec);

/*
 * Shots of one process at one address space under one recovery, and what is looked
 * up once for all of them: the flags of the VMAs above all, which are in smaps.
 */
struct dm_series {
	const char *recovery;
	unsigned long taint;
	int fds;
	char comm[32];
	struct dm_maps maps;	/* must be as it was after each shot */
};

/* The recovery is the active one. In between no fork fails but those shot at. */
const char *dm_begin_series(struct dm_series *s, const char *recovery);
void dm_end_series(void);

/*
 * One fork with the failure armed, and everything that can be judged cheaply:
 * what fork() said, the record, the counters, the parent and Committed_AS.
 */
const char *dm_shoot(struct dm_series *s, enum dm_point point, int index, int err,
		     struct dm_record *rec);

/*
 * Every point at the VMA of addr, then those of the VMA after it, so that the
 * first one has been copied and is torn down. check(arg) returns "" while the memory
 * of this process is as it should be.
 */
const char *dm_shoot_around(const void *addr, const char *recovery,
			    const char *(*check)(void *arg), void *arg);

#endif /* DM_SHOOT_H */
