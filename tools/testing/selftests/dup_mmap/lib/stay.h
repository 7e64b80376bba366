/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fork that fails and stays where the module holds it: which one, where, and what is to
 * be seen of it there.
 */
#ifndef DM_STAY_H
#define DM_STAY_H

#include <stdbool.h>
#include <sys/types.h>

#include "forker.h"
#include "points.h"
#include "settings.h"
#include "sights.h"

struct dm_stay {
	enum dm_at at;
	const char *recovery;
	/* Where it fails. */
	enum dm_point point;
	int index;
};

/* Longer than any test lets it be: hold/timeout-ms. */
#define DM_STAY_MS	60000

/* Whether it is held: not everybody comes to each place. */
bool dm_comes_to(const struct dm_stay *stay);
/* The mm stays as it is until the locks are dropped. */
bool dm_is_left(const char *recovery);
/* There the child's lock is held for writing, and nobody gets in. */
bool dm_is_locked_at(enum dm_at at);

/* To begin with, and after a reset; what this process itself forks does not fail. */
const char *dm_prepare_stays(void);
/* Forks that were made to fail stay there. */
const char *dm_allow_stay(enum dm_at at);
/* Of the forks that are made next, so many fail; -1: all. */
const char *dm_aim_stay(const struct dm_stay *stay, int times);
/* Has it fork, and waits until it is held. */
const char *dm_begin_stay(struct dm_forker *f, const struct dm_stay *stay);
/* 0 or a negative errno. */
int dm_release(pid_t pid);
int dm_release_all(void);
/* Lets it go by its pid, and waits until it is held no more. */
const char *dm_end_stay(struct dm_forker *f);

/* The only hold that the trace has (lib/trace.h) has ended, or does so now, and why. */
const char *dm_await_end(const struct dm_stay *stay, const char *why);

/* For dm_wait_until(); *arg: a struct dm_forker. */
bool dm_is_no_more_held(void *arg);
/* Of all tasks. */
bool dm_is_none_held(void *arg);

/* What hold/observe has of the fork of that process, whose maps these are. */
const char *dm_check_sight(pid_t pid, const struct dm_maps *maps, const struct dm_stay *stay,
			   const struct dm_sight *s);
/* It is the only one, of hold/held and of hold/observe. */
const char *dm_check_stay(const struct dm_forker *f, const struct dm_stay *stay);

#endif /* DM_STAY_H */
