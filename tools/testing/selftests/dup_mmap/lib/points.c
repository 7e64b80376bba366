// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>

#include "points.h"

const struct dm_point_info dm_points[DM_NR_POINTS] = {
	[DM_MMAP_WRITE_LOCK]	= { "mmap-write-lock",	 -EINTR,  true,  false },
	[DM_MT_DUP]		= { "mt-dup",		 -ENOMEM, true,  false },
	[DM_VMA_START_WRITE]	= { "vma-start-write",	 -EINTR,  true,  true },
	[DM_CLEAR_DONTCOPY]	= { "clear-dontcopy",	 -ENOMEM, true,  true },
	[DM_VM_ENOUGH_MEMORY]	= { "vm-enough-memory",	 -ENOMEM, false, true },
	[DM_VM_AREA_DUP]	= { "vm-area-dup",	 -ENOMEM, false, true },
	[DM_DUP_POLICY]		= { "dup-policy",	 -ENOMEM, false, true },
	[DM_DUP_USERFAULTFD]	= { "dup-userfaultfd",	 -ENOMEM, false, true },
	[DM_ANON_VMA_FORK]	= { "anon-vma-fork",	 -ENOMEM, false, true },
	[DM_COPY_PAGE_RANGE]	= { "copy-page-range",	 -ENOMEM, true,  true },
	[DM_ARCH_DUP_MMAP]	= { "arch-dup-mmap",	 -ENOMEM, true,  false },
};

enum dm_point dm_point_of(const char *name)
{
	enum dm_point p;

	for (p = 0; p < DM_NR_POINTS; p++)
		if (!strcmp(dm_points[p].name, name))
			break;
	return p;
}
