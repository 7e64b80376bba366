/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fork that fails and is held in the middle of its recovery, until it is let go.
 *
 * The child had a copy of a VMA of a file of FUSE, shared and written to. When such
 * a VMA is closed, the kernel writes the file back and waits for that: here until
 * the test, which serves the file, says that it is written.
 */
#ifndef DM_HOLD_H
#define DM_HOLD_H

#include <stdbool.h>
#include <sys/types.h>

#include "fuse.h"
#include "maps.h"
#include "points.h"
#include "record.h"
#include "shoot.h"

/* Where the function is that holds it, in its stack. */
#define DM_HELD_IN	"fuse_vma_close"

struct dm_place {
	void *fail;		/* in the VMA to fail at; NULL: that of the file */
	void *file;		/* where to map it; NULL: below all others */
};

/* What the process does whose fork is held. */
struct dm_how {
	enum dm_point point;
	/*
	 * Makes VMAs, threads and what else: "", or why it can't. A process that it
	 * makes has the file open, and its end would be held.
	 */
	const char *(*prepare)(void *arg, struct dm_place *place);
	/* When the fork has failed: "" or what is wrong. */
	const char *(*check)(void *arg);
	void *arg;
	bool unjudged;		/* the module may be gone by then */
	bool dry_run;		/* fails by itself: nothing is armed */
};

/* Shared with that process. */
struct dm_held {
	char why[512];
	bool over;		/* the fork */
	void *file;		/* where it is mapped */
	struct dm_maps maps;	/* from before the fork */
	struct dm_shot shot;
	struct dm_record rec;	/* unless unjudged */
};

struct dm_hold {
	struct dm_fuse fuse;
	struct dm_held *held;
	pid_t pid;		/* whose fork it is; 0: there is none */
	unsigned long since;	/* when it was seen to be held */
};

/* One page of the file is mapped, this long. */
#define DM_HELD_LEN	((size_t)sysconf(_SC_PAGESIZE))

/* NULL, or why no fork can be held. */
const char *dm_hold_begin(struct dm_hold *hold);
/*
 * By a process of its own, with the recovery that is active. When this returns the
 * fork is held: "" or why not.
 */
const char *dm_hold_fork(struct dm_hold *hold, const struct dm_how *how);
bool dm_is_held(const struct dm_hold *hold);
void dm_let_go(struct dm_hold *hold);
/* SIGKILL for that process, which can't end before it is let go. */
void dm_kill_held(struct dm_hold *hold);
/*
 * Lets it go and waits until the process has ended, as it should: killed or not. ""
 * or what is wrong. What it has left is in *held, if that is not NULL.
 */
const char *dm_end_hold(struct dm_hold *hold, bool killed, struct dm_held *held);

/*
 * Whether this recovery lets the parent's lock go before it takes the child apart. Not
 * where flushing the TLB looks at VMAs, as on um.
 */
bool dm_lets_go_early(const char *recovery);

#endif /* DM_HOLD_H */
