/* SPDX-License-Identifier: GPL-2.0 */
/* A range that a userfaultfd watches, and a child that serves it. */
#ifndef DM_UFFD_H
#define DM_UFFD_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"

/*
 * Watches it for what mode says (UFFDIO_REGISTER_MODE_*), as far as the kernel lets it. If a
 * child inherits that (UFFD_FEATURE_EVENT_FORK), each fork waits until it has been served.
 */
void dm_watch_range(const struct dm_range *range, uint64_t mode, bool is_inherited);

/* In a child: what it has inherited is watched until who serves the fork closes it. */
void dm_await_unwatched(void);

#endif /* DM_UFFD_H */
