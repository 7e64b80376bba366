/* SPDX-License-Identifier: GPL-2.0 */
/* The whole system: what it counts, what it complains about, its clock. */
#ifndef DM_COUNTERS_H
#define DM_COUNTERS_H

#include <stdbool.h>

#include "others.h"

/*
 * Counters which a failed fork must not move: of the whole system, but page tables
 * are those of the own cgroup, as the kernel has some too.
 */
enum dm_counter {
	DM_COMMITTED_AS,
	DM_PAGE_TABLES,
	DM_HUGE_FREE,
	DM_HUGE_RSVD,
	DM_HUGE_SURP,
	DM_SLAB_FIRST,
	DM_SLAB_VMA = DM_SLAB_FIRST,
	DM_SLAB_MAPLE_NODE,
	DM_SLAB_ANON_VMA,
	DM_SLAB_ANON_VMA_CHAIN,
	DM_SLAB_MM,
	DM_SLAB_MEMPOLICY,
	DM_SLAB_FILE,
	DM_SLAB_SHMEM,
	DM_SLAB_HUGETLBFS,
	DM_SLAB_USERFAULTFD,
	DM_NR_COUNTERS,
};

extern const char * const dm_counter_names[DM_NR_COUNTERS];

struct dm_counters {
	long v[DM_NR_COUNTERS];	/* -1: cannot be counted */
	struct dm_others others;
};

/* Why nothing can be counted here, or NULL. */
const char *dm_uncountable(void);
/* Exact: nothing that has been freed is among it. */
void dm_get_counters(struct dm_counters *c);
/*
 * "" or what is more or less than before; less is what a process had that has
 * ended meanwhile.
 */
const char *dm_compare_counters(const struct dm_counters *before,
				const struct dm_counters *now);
/*
 * The same for what there is now. Looks again for so many seconds: 0 to see whether
 * anything has moved, DM_PATIENT to call it a mistake.
 */
#define DM_PATIENT	20
const char *dm_check_counters(const struct dm_counters *before, int seconds);

/* -1: cannot be read. */
long dm_committed_as(void);

/* Of the monotonic clock. */
unsigned long dm_ns(void);
double dm_seconds(void);

/*
 * The kernel has warned, died or found a bad page since boot; and "" if it has
 * not since before.
 */
unsigned long dm_taint(void);
const char *dm_check_taint(unsigned long before);

#endif /* DM_COUNTERS_H */
