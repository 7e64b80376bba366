/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Processes that are to go on and on, and somebody who sees whether they do. What is
 * waited for is progress and no point in time: a round is one in which the watchdog itself
 * ran, so a machine that stands still as a whole is not taken for one that is stuck. On one
 * that is slow a process may come to little in many rounds. It is not stuck while it runs.
 */
#ifndef DM_WATCHDOG_H
#define DM_WATCHDOG_H

#include <stdbool.h>
#include <sys/types.h>

/* In memory that the watchdog shares with it. */
struct dm_watched {
	char name[16];
	pid_t pid;		/* 0: there is none, or it has ended */
	unsigned long moves;	/* by the process: see dm_moves() */
	char doing[80];
	unsigned long seen;	/* by the watchdog, and for so many rounds */
	unsigned int still;
	unsigned long ticks;	/* that it and its children had of the CPUs, rounds ago */
};

/* For the process: it has done something. */
void dm_moves(struct dm_watched *w);

/*
 * For the watchdog: one round, which is a second at least. NULL, or the first of nr that is
 * stuck: it has not moved in twice as many rounds, and neither it nor a child of it had a CPU
 * in the latter half of these. Who had one is stuck after DM_FOR_RUNNING times as many.
 */
#define DM_FOR_RUNNING	10
struct dm_watched *dm_watch(struct dm_watched *w, int nr, unsigned int rounds);

/*
 * Prints who it is, what it was doing, and for it and its children the state and where in
 * the kernel it sleeps. What it prints is also in *text, which has room for that much.
 */
void dm_name_stuck(const struct dm_watched *w, char *text, size_t size);

#endif /* DM_WATCHDOG_H */
