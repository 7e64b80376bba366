/* SPDX-License-Identifier: GPL-2.0 */
/* Other processes: what they have when they end is given back too. */
#ifndef DM_OTHERS_H
#define DM_OTHERS_H

#include <stdbool.h>
#include <sys/types.h>

#define DM_MAX_OTHERS	256

struct dm_others {
	int nr;
	struct {
		pid_t pid;
		unsigned long long start;	/* of that pid */
		long vmas, kb;
	} process[DM_MAX_OTHERS];
};

/* All that have memory of their own, but for this process. */
void dm_get_others(struct dm_others *others);

/* What those had that are no more. */
struct dm_gone {
	long processes, vmas, kb;
};

struct dm_gone dm_gone(const struct dm_others *before, const struct dm_others *now);

/*
 * Whether any has begun or ended since this was asked last; the first time, false.
 * Takes no memory.
 */
bool dm_others_changed(void);

#endif /* DM_OTHERS_H */
