/* SPDX-License-Identifier: GPL-2.0 */
/* A VMA of some kind at some position of the address space, and its content. */
#ifndef DM_LAYOUTS_H
#define DM_LAYOUTS_H

#include <stddef.h>
#include <sys/types.h>

#include "kinds.h"

enum dm_position { DM_FIRST, DM_MIDDLE, DM_LAST, DM_NR_POSITIONS };

extern const char * const dm_position_names[DM_NR_POSITIONS];

struct dm_layout {
	enum dm_kind kind;
	enum dm_position position;
	char *addr;		/* of the VMA to fail at */
	size_t len;
	int index;		/* of that VMA in the address space, when built */
	size_t looked_at;	/* of its length; its content has this sum */
	unsigned long long sum;
	char *whole;		/* everything that was mapped for it */
	size_t whole_len;
	int fd;			/* of a kind that needs an open file, else -1 */
	pid_t helper;		/* who reads a userfaultfd */
	char *vdso, *vdso_at;	/* where it belongs, and where it is meanwhile */
};

/* NULL, or why this machine can't have such a VMA at this position. */
const char *dm_build(struct dm_layout *l, enum dm_kind kind,
		     enum dm_position position);
/* The process still has it as it was built: "" or what is not. */
const char *dm_check_layout(const struct dm_layout *l);
/* A fork works, and the child finds in it what it should. */
const char *dm_check_clean_fork(const struct dm_layout *l);
const char *dm_unbuild(struct dm_layout *l);

/*
 * One of each kind in the middle, and one that the child does not get at either
 * end. Those that can't be had have no addr; missing names them, and says why.
 */
#define DM_NR_ALL	(DM_NR_KINDS + 2)
void dm_build_all(struct dm_layout l[DM_NR_ALL], char *missing, size_t size);
const char *dm_check_all(const struct dm_layout l[DM_NR_ALL]);
/* A fork works, and what its child finds. */
const char *dm_check_all_in_child(const struct dm_layout l[DM_NR_ALL]);
const char *dm_unbuild_all(struct dm_layout l[DM_NR_ALL]);

/*
 * Starts the program again until there is room above its stack, which is at a
 * random place, for a VMA of any kind.
 */
void dm_with_room_above(char **argv);

#endif /* DM_LAYOUTS_H */
