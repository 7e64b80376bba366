/* SPDX-License-Identifier: GPL-2.0 */
/* What must happen, from the order of the steps in dup_mmap(), and whether it did. */
#ifndef DM_MODEL_H
#define DM_MODEL_H

#include <stdbool.h>

#include "maps.h"
#include "points.h"
#include "record.h"

/* What a fork failing at a point for a VMA must leave in `last` and `stats`. */
struct dm_expect {
	bool fails;		/* false: the step is not reached, fork works */
	bool injected;		/* what dm_model() takes a failure for */
	bool recovered;		/* false: dup_mmap() returns before recovery */
	int index;
	int err;
	const char *class;
	unsigned long long end;
	unsigned long copied, torn_down, uncharged;
	unsigned long allocs_failed, allocs_missed;	/* for alloc-nth; else none */
	unsigned long hits[DM_NR_POINTS];		/* the failing one included */
};

bool dm_reached(enum dm_point point, const struct dm_vma *vma);
/* Of a fork that works: each point, for each VMA that gets there. */
int dm_nr_steps(const struct dm_maps *maps);
void dm_model(const struct dm_maps *maps, enum dm_point point, int index,
	      int err, struct dm_expect *want);
/* The flags of the child's mm when that is recovered, as the module names them. */
const char *dm_flags_after(const struct dm_expect *want, const char *recovery);
const char *dm_compare(const struct dm_maps *maps, const struct dm_expect *want,
		       enum dm_point point, const char *recovery,
		       const struct dm_record *rec);
/* The same for a failure at whatever point and VMA the record says. */
const char *dm_judge(const struct dm_maps *maps, const char *recovery,
		     const struct dm_record *rec);

/* What grew from a to b, over one fork; of counts, if it was the only one. */
const char *dm_compare_stats(const struct dm_expect *want, const char *recovery,
			     const struct dm_stats *a, const struct dm_stats *b);
const char *dm_compare_counts(const struct dm_expect *want, enum dm_point point,
			      const struct dm_counts *a, const struct dm_counts *b);

#endif /* DM_MODEL_H */
