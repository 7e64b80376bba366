/* SPDX-License-Identifier: GPL-2.0 */
/* Strict overcommit: forks fail for want of commit charge, and nobody injects that. */
#ifndef DM_OVERCOMMIT_H
#define DM_OVERCOMMIT_H

#include <stddef.h>

/* In the order in which it is restored. */
struct dm_overcommit {
	char text[3][32];
};

void dm_save_overcommit(struct dm_overcommit *saved);
void dm_restore_overcommit(const struct dm_overcommit *saved);

/*
 * A VMA that strict overcommit has no room for a second time: forks of this process
 * fail there. NULL: it can't be had.
 */
char *dm_map_without_room(size_t len);

#endif /* DM_OVERCOMMIT_H */
