/* SPDX-License-Identifier: GPL-2.0 */
/* Allocations that fail for real. */
#ifndef DM_ALLOCATIONS_H
#define DM_ALLOCATIONS_H

#include "points.h"

/*
 * Allocations that fail for real, one after the other, by the kernel's own
 * fault attributes and /proc/thread-self/fail-nth: of this task only, and only
 * those made inside of one kernel function.
 */
struct dm_alloc {
	int nr;
	struct {
		char path[96], old[32];
	} file[64];		/* what dm_alloc_begin() changed */
};

/*
 * function NULL: none is counted at all; "": all are, and some other way
 * chooses which. Returns why it can't be done, or
 * NULL. In any case dm_alloc_end() puts the attributes back.
 */
const char *dm_alloc_begin(struct dm_alloc *a, const char *function);
void dm_alloc_end(struct dm_alloc *a);
/* fail-nth of this task; -1: not available. */
int dm_set_nth(int nth);
int dm_get_nth(void);
/*
 * Forks until none of these allocations is left to fail, and judges each fork
 * that failed: it must have failed at this point. *failed counts them. Begins
 * again, a few times, if they are not as many as expected.
 */
const char *dm_fail_allocs(enum dm_point point, const char *recovery,
			   const char *(*check)(void *arg), void *arg,
			   int at_least, int *failed);

#endif /* DM_ALLOCATIONS_H */
