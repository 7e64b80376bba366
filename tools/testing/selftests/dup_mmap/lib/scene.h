/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fork that fails and is held at a place of hold/at, and those who are to come by its
 * child meanwhile. The test process is the parent of all of them.
 */
#ifndef DM_SCENE_H
#define DM_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cgroup.h"
#include "maps.h"
#include "outsiders.h"
#include "stay.h"
#include "victim.h"
#include "worker.h"

/* Shared with all of them. */
struct dm_scene {
	struct dm_stay stay;
	enum dm_with with;
	const struct dm_cgroup *cgroup;	/* of the program */
	size_t page;
	unsigned long taint;	/* before */
	pid_t victim;		/* whose fork is held; 0: there is none */
	struct dm_worker main, thread;	/* of it */
	bool ready, over;
	int err;		/* of that fork */
	int file, huge_file;	/* mapped by the victim */
	int uffd;		/* of the victim: a number of its own */
	uint64_t file_frame, ksm_frame;
	struct dm_maps maps;
	struct dm_worker outsider[DM_NR_OUTSIDERS];
};

extern struct dm_scene *dm_scene;

/* The copies, a marker and the parent's VMAs are left for others to be found ... */
bool dm_left(void);
/* ... and nothing says so. */
bool dm_is_bare(void);
/* Nobody has the parent's mmap lock. */
bool dm_parent_is_free(void);
/* The child still has the pages that it has copied. */
bool dm_has_pages(void);

/* For main(), so that who cleans up after a test knows of its processes. */
bool dm_share_scene(void);
/* "" or why there is none. */
const char *dm_make_scene(const char *recovery, enum dm_at at,
			  const struct dm_cgroup *cgroup);
/*
 * Has the victim fail to fork, and the fork be held: "" or why it is not. The
 * outsiders, a mask, are there before that.
 */
const char *dm_hold_victim(enum dm_with with, unsigned int who);
bool dm_holds(void);
/* For dm_wait_until(): the victim's fork is over, the victim has ended. */
bool dm_is_over(void *arg);
bool dm_victim_has_ended(void *arg);
void dm_let_victim_go(void);
/*
 * Lets it go: the parent is as it was, or was killed, and all end. "" or what is wrong.
 */
const char *dm_end_scene(bool killed);
/*
 * What it has left: a fork that is held, the swap, a file, and what KSM has of processes
 * that have ended. swapoff would find a child that is still to be taken apart.
 */
void dm_clean_scene(void);

#endif /* DM_SCENE_H */
