/* SPDX-License-Identifier: GPL-2.0 */
/* A cgroup of its own for a process: what is charged there is nobody else's. */
#ifndef DM_CGROUP_H
#define DM_CGROUP_H

#include <stdbool.h>

struct dm_cgroup {
	char hierarchy[128];	/* where cgroup v2 is mounted */
	char old[128];		/* the cgroup that this process was in */
	bool enabled;		/* the memory controller, by this */
	bool made;
};

/* With the memory controller. NULL, or why this process can't have one. */
const char *dm_cgroup_enter(struct dm_cgroup *cg);
/* For the process in it or, when that has ended, for its parent. */
void dm_cgroup_leave(struct dm_cgroup *cg);

/* Of a file of the cgroup, in a static buffer. */
const char *dm_cgroup_path(const struct dm_cgroup *cg, const char *file);

/* Who reads memory.stat of this process's cgroup next reads what is, not what was. */
void dm_outdate_stat(void);

/* A number in memory.stat of the cgroup that this process has entered, or -1. */
long dm_cgroup_stat(const char *key);

#endif /* DM_CGROUP_H */
