/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of parent_goes_on.c share. */
#ifndef DM_PARENT_H
#define DM_PARENT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "../dup_mmap.h"

/*
 * Page by page one VMA. Those that are copied come first, then the one to fail at,
 * then those that the parent alone has. Every second one can be written.
 */
#define NR_AREA		60
#define FAIL_AT		30
#define SPARE		4	/* behind them, where to move some of them */
#define UNTOUCHED(i)	((i) % 30 == 4)

enum where { FIRST, MIDDLE, LATE, LAST, ALL };

/* Besides the area, on each side of it one of each of these kinds. */
enum with { NONE, A_FILE, OTHERS, NR_WITH };

#define MAX_KINDS	5

/* Of the process whose fork is held, and shared with the test. */
struct worker {
	pid_t tid;
	int go[2];		/* a pipe */
	bool done;
	const char *why;	/* "" or a constant of this program */
};

enum { FAULT, MAP, UNMAP, MOVE, PROTECT, ADVISE, KINDS, FORK, NR_OPS };
enum { EXEC, EXIT, NR_LEAVERS };

struct scene {
	enum where where;
	enum with with;
	struct worker worker[NR_OPS];
	struct worker leaver[NR_LEAVERS];
	int finish[2];		/* when all is done that needs the process */
	int stop;		/* storms */
	unsigned long storms;
	size_t page;
	char *area;
	char *file;
	struct dm_layout last;		/* for LAST: what to fail at */
	struct dm_layout kinds[2][MAX_KINDS];	/* copied, and not */
};

extern struct scene *scene;

/* A page of the area. */
static inline char *at(int i)
{
	return scene->area + i * scene->page;
}

/* Whether or not anybody reads it. */
static inline void write_once(char *p, char value)
{
	__atomic_store_n(p, value, __ATOMIC_RELAXED);
}

/* What the threads of the parent do. "" or what went wrong. */
struct op {
	const char *name, *(*op)(void);
};

extern const struct op ops[NR_OPS];

/* The others of that address space, which wait until they are told. False: there are none. */
bool start_threads(void);

/* As struct dm_how has them: before the fork, and when it has failed and all are done. */
const char *prepare(void *arg, struct dm_place *place);
const char *check(void *arg);

/* The kinds of VMA that a scene has besides the area. */
struct kinds_of {
	int nr;
	enum dm_kind kind[MAX_KINDS];
};

extern const struct kinds_of with_kinds[NR_WITH];

/* What that one of scene->leaver does in the end. */
const char *leaver_name(int i);

#endif /* DM_PARENT_H */
