/* SPDX-License-Identifier: GPL-2.0 */
/* The failure points of dup_mmap(). */
#ifndef DM_POINTS_H
#define DM_POINTS_H

#include <stdbool.h>

/* The failure points, in the order in which dup_mmap() passes them. */
enum dm_point {
	DM_MMAP_WRITE_LOCK,
	DM_MT_DUP,
	DM_VMA_START_WRITE,
	DM_CLEAR_DONTCOPY,
	DM_VM_ENOUGH_MEMORY,
	DM_VM_AREA_DUP,
	DM_DUP_POLICY,
	DM_DUP_USERFAULTFD,
	DM_ANON_VMA_FORK,
	DM_COPY_PAGE_RANGE,
	DM_ARCH_DUP_MMAP,
	DM_NR_POINTS,
};

struct dm_point_info {
	const char *name;
	int err;		/* what dup_mmap() returns by itself */
	bool err_kept;		/* false: dup_mmap() says -ENOMEM whatever happened */
	bool has_vma;
};

extern const struct dm_point_info dm_points[DM_NR_POINTS];

/* DM_NR_POINTS if there is none of that name. */
enum dm_point dm_point_of(const char *name);

#endif /* DM_POINTS_H */
