/* SPDX-License-Identifier: GPL-2.0 */
/* Whether the module is there, which recovery is active, and what is armed. */
#ifndef DM_SETTINGS_H
#define DM_SETTINGS_H

#include <stdbool.h>

#include "points.h"

#define OVERCOMMIT_MEMORY	"/proc/sys/vm/overcommit_memory"
#define OVERCOMMIT_KBYTES	"/proc/sys/vm/overcommit_kbytes"
#define OVERCOMMIT_RATIO	"/proc/sys/vm/overcommit_ratio"

/* Asked for by DUP_MMAP_LONG in the environment. */
bool dm_long_form(void);

/*
 * Whether to try all that there is: in the long form, and on User Mode Linux. In the short
 * form an emulated machine, which takes several times as long, tries only what may differ
 * there.
 */
bool dm_in_full(void);

/* User Mode Linux. */
bool dm_is_um(void);

/* NULL when the module and its files are there, else why not. */
const char *dm_unavailable(void);
/*
 * For main(): prints a TAP skip and exits if there is nothing to test. Puts right
 * what a program before this one has left when it was killed, and at the end of this
 * one what a test of it has left.
 */
void dm_skip_unless_available(void);

enum dm_recoverer { DM_RUST, DM_UPSTREAM, DM_XA_ZERO, DM_XA_ZERO_BARE, DM_NR_RECOVERIES };

/* As the file recovery has them. */
extern const char * const dm_recoveries[DM_NR_RECOVERIES];

enum dm_at {
	DM_AT_NONE,
	DM_AT_BEFORE,
	DM_AT_PARENT,
	DM_AT_AFTER,
	DM_AT_UNLOCKED,
	DM_AT_PINNED,
	DM_NR_AT,
};

/* As hold/at has them. */
extern const char * const dm_at_names[DM_NR_AT];

/* Which recovery is active ("" if the file is not as documented). */
const char *dm_recovery(void);
const char *dm_use_recovery(const char *name);
void dm_reset(void);

/*
 * What reset leaves as it is, for the one who comes after a test. A fixture saves
 * it before it changes anything, and restores it in FIXTURE_TEARDOWN_PARENT():
 * then it is restored also when the test crashed, and for the next test.
 */
struct dm_saved {
	char recovery[16];
};

/* Both reset everything else. Nothing was saved: nothing is restored. */
void dm_save(struct dm_saved *saved);
void dm_restore(const struct dm_saved *saved);

/*
 * Failures of this task only: a fork made by anyone else, the test harness
 * included, must not fail. None yet; then each dm_aim() is for one. Settings not
 * named here are as dm_reset() leaves them.
 */
const char *dm_arm_nothing(void);
const char *dm_aim(enum dm_point point, int index, int err);
/* Both. */
const char *dm_arm(enum dm_point point, int index, int err);
void dm_disarm(void);

#endif /* DM_SETTINGS_H */
