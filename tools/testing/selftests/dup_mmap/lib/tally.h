/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counting once for all tests of a program: to count exactly takes longer than most of
 * them. A test that is run alone counts for itself.
 */
#ifndef DM_TALLY_H
#define DM_TALLY_H

#include <stdbool.h>

#include "cgroup.h"
#include "counters.h"

/*
 * For main(): enters a cgroup of its own, where everything can be counted. Else prints
 * a TAP skip and exits.
 */
void dm_skip_unless_countable(struct dm_cgroup *cg);

/* The first test and the last one; each test is a process of its own, and so are these. */
void dm_count_program(void);
bool dm_program_is_counted(void);
const char *dm_check_program(void);

/* At the beginning of a test and at its end: nothing, if the program is counted. */
void dm_count_test(struct dm_counters *before);
const char *dm_check_test(const struct dm_counters *before);

#endif /* DM_TALLY_H */
