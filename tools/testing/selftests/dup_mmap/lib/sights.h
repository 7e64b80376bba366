/* SPDX-License-Identifier: GPL-2.0 */
/* What the module says of the forks that it holds: hold/held and hold/observe. */
#ifndef DM_SIGHTS_H
#define DM_SIGHTS_H

#include <stdbool.h>
#include <sys/types.h>

#define DM_MAX_HELD	8	/* at a time */

/* hold/held, and a line of it. */
struct dm_held_line {
	pid_t pid;
	char at[32], recovery[32], comm[32];
	long ms, timeout;
};

struct dm_held_list {
	int nr;
	unsigned long missed;
	struct dm_held_line line[DM_MAX_HELD];
};

/* An entry of the child's tree. */
struct dm_entry {
	char kind[16];
	unsigned long start, end;
};

/* What hold/observe has of one child. */
struct dm_sight {
	pid_t pid;
	char at[32], recovery[32], flags[32], verdict[16];
	long users;
	int nr;
	struct dm_entry entry[128];
	bool has_find;
	unsigned long addr;
	struct dm_entry found;	/* no kind: none */
};

struct dm_sights {
	int nr;
	struct dm_sight child[DM_MAX_HELD];
};

/* "" or what is not as documented. */
const char *dm_get_held(struct dm_held_list *held);
const char *dm_get_sights(struct dm_sights *sights);

/* How many forks of that task are held, or of all tasks (0); -1: hold/held is wrong. */
int dm_nr_held(pid_t pid);

#endif /* DM_SIGHTS_H */
