/* SPDX-License-Identifier: GPL-2.0 */
/* What the module says: its files last, stats and points. */
#ifndef DM_RECORD_H
#define DM_RECORD_H

#include <stdbool.h>

#include "points.h"

struct dm_record {
	bool none;		/* the file says that no fork failed yet */
	int pid;
	char comm[32];
	char point[32];
	int index;
	bool has_vma;
	unsigned long start, end_addr;
	int err;
	char injected;
	unsigned long seed, alloc_nth, recovery_alloc_nth;
	char recovery_alloc_failed;
	char recovery[16];
	char class[16];
	bool has_end;
	unsigned long long end;
	unsigned long copied, torn_down, uncharged;
	char mm_flags[32];
	unsigned long ns, parent_lock_ns;
};

struct dm_stats {
	unsigned long forks, failed, injected, allocs_failed, allocs_missed;
	unsigned long rust, upstream, left;
	unsigned long torn_down, uncharged;
};

struct dm_counts {
	unsigned long hits[DM_NR_POINTS], injected[DM_NR_POINTS];
};

const char *dm_get_record(struct dm_record *rec);
const char *dm_get_stats(struct dm_stats *stats);
const char *dm_get_counts(struct dm_counts *counts);

#endif /* DM_RECORD_H */
