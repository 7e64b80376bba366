/* SPDX-License-Identifier: GPL-2.0 */
/* A VMA of some kind at some position of the address space. */
#ifndef DM_LAYOUTS_H
#define DM_LAYOUTS_H

#include <stddef.h>

/* Kinds of VMA a test puts at a position of its address space. */
enum dm_kind {
	DM_ANON,
	DM_FILE_PRIVATE,
	DM_FILE_SHARED,
	DM_DONTFORK,
	DM_WIPEONFORK,
	DM_AFTER_DONTFORK,	/* anonymous, directly after a DONTFORK one */
	DM_BEFORE_DONTFORK,	/* anonymous, directly before a DONTFORK one */
	DM_NR_KINDS,
};

enum dm_position { DM_FIRST, DM_MIDDLE, DM_LAST, DM_NR_POSITIONS };

extern const char * const dm_kind_names[DM_NR_KINDS];
extern const char * const dm_position_names[DM_NR_POSITIONS];

struct dm_layout {
	enum dm_kind kind;
	enum dm_position position;
	char *addr;		/* of the VMA to fail at */
	size_t len;
	int index;		/* of that VMA in the address space */
	int fd;			/* of the shared file, else -1 */
	char *whole;		/* everything that was mapped for it */
	size_t whole_len;
	unsigned long long sum;		/* of the content of the VMA */
};

/* NULL, or why this machine can't have such a VMA at this position. */
const char *dm_build(struct dm_layout *l, enum dm_kind kind,
		     enum dm_position position);
const char *dm_check_layout(const struct dm_layout *l);
const char *dm_check_clean_fork(struct dm_layout *l);
const char *dm_unbuild(struct dm_layout *l);

/* Of whole words. */
unsigned long long dm_sum(const void *p, size_t len);

#endif /* DM_LAYOUTS_H */
