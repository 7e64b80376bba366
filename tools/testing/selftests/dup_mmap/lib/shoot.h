/* SPDX-License-Identifier: GPL-2.0 */
/* Forks with one failure armed, and the judgement of each. */
#ifndef DM_SHOOT_H
#define DM_SHOOT_H

#include <stdbool.h>
#include <sys/types.h>

#include "maps.h"
#include "points.h"
#include "record.h"

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
/* "" or what it moved of the whole system: Committed_AS, or who else has forked. */
const char *dm_moved(const struct dm_shot *shot);

/*
 * What a failed fork keeps, or gives back twice, it does again, the next time or the
 * one after. Another process may map something or fork meanwhile, once in a while,
 * and more than that when it begins or ends. So the fork that has moved something
 * is made so often again, and none of these may, unless there are other processes.
 */
#define DM_AGAIN	4

struct dm_tries {
	bool moved;		/* and nobody has come or gone */
	int left;
};

/* After each fork, until it says no. Begins with zeroes; moved: by the last one. */
bool dm_try_again(struct dm_tries *tries, bool moved);

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
