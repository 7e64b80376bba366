/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who comes by the child of a fork that is held: processes, each for one thing. They are
 * there before the fork is held, since one of their own might have to wait for it.
 */
#ifndef DM_OUTSIDERS_H
#define DM_OUTSIDERS_H

#include <stdbool.h>

#include "worker.h"

enum dm_outsider {
	DM_SWAPOFF,
	DM_PERF,		/* a uprobe, by perf_event_open() ... */
	DM_TRACEFS,		/* ... and by uprobe_events */
	DM_A_FORK,
	DM_MAPS,		/* of the victim ... */
	DM_SMAPS,		/* ... both */
	DM_UNMERGE,		/* what KSM has merged */
	DM_NR_OUTSIDERS,
};

/* What uprobes are registered for: a file that no program runs. */
#define DM_CODE_FILE		"/tmp/dup_mmap_window"

/* NULL or why none can be registered. */
const char *dm_no_uprobes(void);

const char *dm_name_of(enum dm_outsider who);
/* "" or why it can't be started. */
const char *dm_start(enum dm_outsider who, struct dm_worker *w);
/* Waits for it: "" or what is wrong. */
const char *dm_end(enum dm_outsider who, struct dm_worker *w);

#endif /* DM_OUTSIDERS_H */
