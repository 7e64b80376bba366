// SPDX-License-Identifier: GPL-2.0
/* Where the counters of a module are that is built for scripts/coverage: see coverage.h there. */
#include <linux/export.h>
#include <linux/types.h>

/* counters.lds */
extern u64 dup_mmap_first_counter[], dup_mmap_last_counter[];

u64 * const dup_mmap_counters[2] = { dup_mmap_first_counter, dup_mmap_last_counter };
EXPORT_SYMBOL_GPL(dup_mmap_counters);
