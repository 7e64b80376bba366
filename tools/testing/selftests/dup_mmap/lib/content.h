/* SPDX-License-Identifier: GPL-2.0 */
/* What is in the pages of this process, whatever their protection. */
#ifndef DM_CONTENT_H
#define DM_CONTENT_H

#include <stddef.h>
#include <stdint.h>

#define DM_MAX_PAGES	8192

struct dm_content {
	char *start;
	size_t nr;		/* of pages */
	uint64_t entry[DM_MAX_PAGES];	/* of pagemap; 0 if it cannot be read */
	unsigned long long sum;	/* of the pages that are there and can be read */
};

/* Reads the pages that are there, and brings no other one in. */
const char *dm_take_content(struct dm_content *c, char *start, char *end);
/* The same pages have the same content still. */
const char *dm_check_content(struct dm_content *c);

#endif /* DM_CONTENT_H */
