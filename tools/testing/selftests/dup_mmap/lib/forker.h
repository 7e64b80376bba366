/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Processes that fork when they are told to: their forks may fail and be held, and the
 * test goes on meanwhile. Each leaves its maps where the test finds them: nobody can ask
 * for them while its mmap lock is held.
 */
#ifndef DM_FORKER_H
#define DM_FORKER_H

#include <stdbool.h>
#include <sys/types.h>

#include "maps.h"

#define DM_FORKER_COMM	"a b  held"

/* Below all else: a VMA that the child does not get, and the first one that it gets. */
#define DM_FORKER_LOW	((char *)(64ul << 20))
/* Page by page one VMA. Of two of them, one on either side of FAIL_AT, there are no copies. */
#define DM_FORKER_AREA	((char *)(96ul << 20))
#define DM_FORKER_NR	8
#define DM_FORKER_FAIL_AT	4

/* Shared with the process. */
struct dm_forker {
	pid_t pid;		/* 0: there is none */
	int go[2];		/* a pipe */
	bool ready;
	unsigned int told, done;	/* forks */
	int err;		/* of the last one; 0: it worked */
	bool goes_on;		/* to fork, without being told to */
	unsigned int worked, failed, wrong;
	char why[256];
	struct dm_maps maps;	/* as all its forks find them */
};

/* So many, none of which has begun. NULL: there is no memory. */
struct dm_forker *dm_make_forkers(int nr);

/* All of these: "" or what is wrong. It asks for failures, and nothing is armed yet. */
const char *dm_start_forker(struct dm_forker *f);
const char *dm_tell_to_fork(struct dm_forker *f);
/* Waits until its fork is over; this is what it must have said, 0 if it works. */
const char *dm_await_fork(struct dm_forker *f, int err);
bool dm_has_forked(const struct dm_forker *f);
/* It has ended, or does so now, with this status. */
const char *dm_reap_forker(struct dm_forker *f, int status);
const char *dm_stop_forker(struct dm_forker *f);

/* From now on it forks all the time, until it is told not to. */
const char *dm_keep_forking(struct dm_forker *f);
void dm_forked_enough(struct dm_forker *f);
unsigned int dm_nr_forks(const struct dm_forker *f);

/* It unmaps the VMAs from FAIL_AT on. */
const char *dm_unmap_rest(struct dm_forker *f);

/* The index of the VMA to fail at. */
int dm_forker_index(const struct dm_forker *f);

#endif /* DM_FORKER_H */
