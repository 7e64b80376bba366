/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The addresses that random operations work on, below everything else of a program that is
 * position independent: small pages, and behind them a few huge ones in parts.
 */
#ifndef DM_ARENA_H
#define DM_ARENA_H

#include <stddef.h>
#include <stdint.h>

#define DM_MAX_UNITS	16	/* of a range */

struct dm_range {
	char *addr;
	size_t len;
	size_t unit;		/* a page, or a part of a huge one */
};

/* First of all: asks the kernel for the sizes of its pages. */
void dm_arena_begin(void);

char *dm_arena_start(void);
char *dm_arena_end(void);
size_t dm_arena_page(void);
/* Of a huge page; with large ones a few small pages instead. */
size_t dm_arena_huge(void);

/*
 * From any three bytes: of huge pages or small ones, the unit where it begins, how many. It
 * ends where the huge or the small ones do.
 */
struct dm_range dm_range(uint8_t kind, uint8_t at, uint8_t len);
/* Some address in it. */
char *dm_arena_at(uint8_t where);

#endif /* DM_ARENA_H */
