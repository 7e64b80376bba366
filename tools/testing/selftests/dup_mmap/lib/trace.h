/* SPDX-License-Identifier: GPL-2.0 */
/* Events of the module, in a trace buffer where nobody else's are. */
#ifndef DM_TRACE_H
#define DM_TRACE_H

#include <stdbool.h>
#include <sys/types.h>

#define DM_TRACING	"/sys/kernel/tracing/"
#define DM_TRACE	DM_TRACING "instances/dup_mmap/"

struct dm_event {
	pid_t pid;
	unsigned long us;	/* when */
	const char *what;	/* "name: what it prints" */
};

/* Makes the buffer, with no event enabled: "" or why there is none. */
const char *dm_trace_begin(void);
/* For the process that it was made by, or the parent of that. */
void dm_trace_end(void);

/* On or off, NULL: all of the module's. 0 or a negative errno. */
int dm_trace_event(const char *name, bool on);

/* What there has been since the last dm_trace_clear(), in order; -1: it can't be read. */
void dm_trace_clear(void);
int dm_get_events(const struct dm_event **events);

#endif /* DM_TRACE_H */
