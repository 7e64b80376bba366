/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of storm.c share: in memory, and between what they do. */
#ifndef DM_STORM_H
#define DM_STORM_H

#include <pthread.h>
#include <stdbool.h>

#include "../dup_mmap.h"

#define MAX_CPUS	8
#define NR_WRITERS	2
#define MAX_PARTS	(2 * MAX_CPUS + NR_WRITERS + 7)
#define NR_COUNTS	6

/* What there is of whom. */
struct kind {
	const char *name;
	int nr;				/* 0: two for each CPU */
	void (*run)(int nr);
	bool there, gone;		/* each load, each absence waits for it */
	const char *count[NR_COUNTS];	/* each has to be more than 0, but for "(...)" */
};

/* In the order in which they begin: the hog is behind its keeper, the last one ends all. */
extern const struct kind forker, writer, armer, switcher, holder, plugger, keeper, hog, loader;

/* Somebody who takes part, in memory that all share. */
struct part {
	const struct kind *kind;
	int nr;				/* of its kind */
	unsigned long with;		/* the last epoch in which it has done something */
	unsigned long count[NR_COUNTS];
	char wrong[200];
};

struct storm {
	struct dm_watched watched[MAX_PARTS];
	struct part part[MAX_PARTS];
	pthread_rwlock_t opening;	/* for reading: who opens a file of the module */
	unsigned long epoch;		/* odd: the module is there */
	bool stop;
};

extern struct storm *storm;
extern int nr_parts, nr_cpus;
extern unsigned long nr_cycles;

/* The index of the part that this process is. */
extern int me;

unsigned long epoch(void);
/* Since then nothing has begun to change. */
bool is_still(unsigned long since);
/* The same, and the module is there. */
bool is_there(unsigned long since);
/* All are to end. */
bool stopped(void);

/* One more of its counts. */
void count(int what);
/* For the watchdog to say. */
__printf(1, 2) void doing(const char *fmt, ...);
/* The first thing is kept: it is the one to look at. */
__printf(1, 2) void wrong(const char *fmt, ...);
/* It is not stuck. */
void moves(void);
/* It is not stuck, and has done something that it began in this epoch. */
void did(unsigned long since);
/* Whether all of those that matter in this epoch have done something in it. */
bool all_did(unsigned long since);

/* From 0 to n - 1. Each part has a sequence of its own. */
int random_below(int n);

/*
 * What a file of the module says while the module is not there, comes or goes. The rest of
 * a write to a file that is gone already is EIO.
 */
bool is_away(int ret);
/* A process has memory for what it opens, or not. */
bool is_short(int ret);

/* Writes a value, which has to be taken (0) or refused: the first of the counts. */
enum { TAKEN, REFUSED, AWAY, SHORT };
void put(const char *name, const char *value, int want);

/* The files that the writers write to. "" or what is not as expected of them. */
const char *find_files(void);
/* What these say now, for somebody to read who wonders why nothing moves. */
void print_files(void);

bool can_be_unplugged(int cpu);

/* What the loader counts first. */
enum { CYCLES, BUSY };

#endif /* DM_STORM_H */
