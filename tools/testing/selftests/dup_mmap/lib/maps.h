/* SPDX-License-Identifier: GPL-2.0 */
/* The address space of this process. */
#ifndef DM_MAPS_H
#define DM_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DM_MAX_VMAS	1400
#define DM_TEXT		131072

/* The address space as /proc/self/maps shows it; index = position in it. */
struct dm_vma {
	unsigned long start, end;
	bool dontcopy, wipeonfork, account;
	bool no_access;		/* PROT_NONE */
	char flags[64];		/* as smaps has them: "rd wr mr mw me ac" */
	char name[64];
};

struct dm_maps {
	int nr;
	struct dm_vma vma[DM_MAX_VMAS];
	size_t len;
	char text[DM_TEXT];	/* /proc/self/maps */
};

/* The flags are in smaps, which takes the kernel ten times as long. */
const char *dm_get_maps(struct dm_maps *maps);
const char *dm_get_maps_and_flags(struct dm_maps *maps);

/* The position in maps of the VMA that addr is in, or -1. */
int dm_index_of(const struct dm_maps *maps, const void *addr);

/* The entries of /proc/self/pagemap for nr pages from addr on. */
bool dm_pagemap(const void *addr, size_t nr, uint64_t *entry);
#define DM_PAGE_PRESENT(entry)	((entry) >> 63 & 1)
#define DM_PAGE_SWAPPED(entry)	((entry) >> 62 & 1)
#define DM_PAGE_FRAME(entry)	((entry) & ((1ull << 55) - 1))

#endif /* DM_MAPS_H */
