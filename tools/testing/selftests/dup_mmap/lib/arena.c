// SPDX-License-Identifier: GPL-2.0
#include <stdbool.h>
#include <unistd.h>

#include "arena.h"
#include "io.h"

#define START		(64ul << 20)
#define NR_PAGES	256
#define NR_HUGE		4	/* behind it, so many of this size, */
#define PARTS		8	/* each in so many parts */
#define MAX_HUGE	(2ul << 20)

static size_t page, huge;

void dm_arena_begin(void)
{
	long size = dm_read_number(DM_HUGE_SIZE);

	page = sysconf(_SC_PAGESIZE);
	/* With large pages that is hundreds of megabytes: then it is an area like the other. */
	huge = size > 0 && (size_t)size <= MAX_HUGE ? (size_t)size : PARTS * page;
}

char *dm_arena_start(void)
{
	return (char *)START;
}

/* START is a multiple of any of these sizes. */
static char *huge_start(void)
{
	size_t small = NR_PAGES * page;

	return dm_arena_start() + (small > huge ? small : huge);
}

char *dm_arena_end(void)
{
	return huge_start() + NR_HUGE * huge;
}

size_t dm_arena_page(void)
{
	return page;
}

size_t dm_arena_huge(void)
{
	return huge;
}

struct dm_range dm_range(uint8_t kind, uint8_t at, uint8_t len)
{
	/* Not often: much memory takes a fork long. */
	bool is_huge = kind >= 0xe0;
	size_t unit = is_huge ? huge / PARTS : page;
	size_t all = is_huge ? NR_HUGE * PARTS : NR_PAGES;
	size_t first = at % all, nr = 1 + len % DM_MAX_UNITS;
	char *start = is_huge ? huge_start() : dm_arena_start();

	if (nr > all - first)
		nr = all - first;
	return (struct dm_range){ start + first * unit, nr * unit, unit };
}

char *dm_arena_at(uint8_t where)
{
	return dm_range(where, where, 0).addr;
}
