/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The process whose fork fails and is held: what is in its address space, and that it
 * is as it was when all is over.
 */
#ifndef DM_VICTIM_H
#define DM_VICTIM_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Below all other VMAs of the program, so that these alone have been copied when the
 * fork fails: pages from dm_at(0) on, and a huge one. What fails is directly behind the
 * code: a uprobe asks the VMA behind it for its anon_vma.
 */
enum {
	DM_V_SWAPPED = 0,
	DM_V_FILE = 8,
	DM_V_SHARED = 16,		/* with the test, and the child */
	DM_V_MERGED = 24,		/* by KSM: with both as well */
	DM_V_WATCHED = 32,	/* by a userfaultfd */
	DM_V_CODE = 40,
	DM_V_FAIL = 41,
};

#define DM_V_PAGES	4	/* of each but the last two */
#define DM_HUGE		((char *)(32ul << 20))
#define DM_HUGE_MAX	(32ul << 20)

/* What only some tests need: bits. */
enum dm_with {
	DM_NOTHING = 0,
	DM_SWAP = 1,		/* some of it is swapped out */
	DM_KSM_PAGES = 2,
	DM_A_HUGE_FILE = 4,
	DM_MUCH = 8,		/* memory, in a cgroup of its own */
};

#define DM_LARGE	(8ul << 20)	/* how much */

/* A page of dm_scene. */
char *dm_at(int page);
/* Each with a content of its own. */
bool dm_map_pages(int page, size_t nr);
bool dm_has_pattern(int page, size_t nr);
/* Each with that content. */
bool dm_has_only(int page, size_t nr, char content);
#define DM_V_MERGED_CONTENT	(DM_V_MERGED + 1)

/* The file that it runs, to be there before it. */
bool dm_write_code(void);
/*
 * For dm_wait_until(): none of its pages is swapped. Not while its mmap lock is held.
 */
bool dm_nothing_is_swapped(void *arg);
/* A file of the cgroup of one that has much, in a static buffer. */
const char *dm_victims(const char *file);

/* All that it does, as dm_scene says: "" or what is wrong. */
const char *dm_be_victim(void);

#endif /* DM_VICTIM_H */
