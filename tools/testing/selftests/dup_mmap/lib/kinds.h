/* SPDX-License-Identifier: GPL-2.0 */
/* The kinds of VMA there are for fork(), each of which it treats in its own way. */
#ifndef DM_KINDS_H
#define DM_KINDS_H

#include <stddef.h>

enum dm_kind {
	DM_ANON,
	DM_THP,
	DM_HUGETLB,
	DM_HUGETLB_SHARED,
	DM_FILE_PRIVATE,
	DM_FILE_SHARED,		/* to read */
	DM_MEMFD_SHARED,	/* to write */
	DM_MEMFD_PRIVATE,
	DM_DONTFORK,
	DM_AFTER_DONTFORK,	/* anonymous, directly after a DONTFORK one */
	DM_BEFORE_DONTFORK,	/* anonymous, directly before a DONTFORK one */
	DM_WIPEONFORK,
	DM_MLOCKED,
	DM_MEMPOLICY,
	DM_USERFAULTFD,
	DM_ZERO_PAGES,
	DM_SWAPPED,
	DM_KSM_MERGED,
	DM_GUP_PINNED,
	DM_STACK,
	DM_GUARD_REGION,
	DM_SAME_PMD,		/* anonymous, in the page table of the one before */
	DM_NR_KINDS,
};

const char *dm_kind_name(enum dm_kind kind);

/*
 * What belongs to the whole system, for so many VMAs of each kind: swap, the pool
 * of huge pages. What can't be had makes a kind missing, and is no error.
 */
void dm_kinds_begin(int nr_each);
void dm_kinds_end(void);

/*
 * While KSM is off, it keeps the mm of a process that is no more. This makes it
 * let go; before mms are counted.
 */
void dm_ksm_let_go(void);

/*
 * For layouts, which have a place for it: the length of the VMA and what its
 * address is a multiple of (0: there are none here), and of the neighbours that
 * make it one of its kind.
 */
struct dm_layout;

size_t dm_kind_len(enum dm_kind kind);
size_t dm_kind_align(enum dm_kind kind);
size_t dm_kind_before(enum dm_kind kind);
size_t dm_kind_behind(enum dm_kind kind);

/* Makes it, with its content and neighbours: NULL, or why that can't be done. */
const char *dm_make_kind(struct dm_layout *l);
/* Before it is unmapped, also if it could not be made. */
void dm_unmake_kind(struct dm_layout *l);
/* It is one of its kind still, and has its content; this changes neither. */
const char *dm_check_kind(const struct dm_layout *l);
/* What the child of a fork that works finds. */
const char *dm_check_kind_in_child(const struct dm_layout *l);

#endif /* DM_KINDS_H */
