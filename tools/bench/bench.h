/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of fork_bench have of one another. */
#ifndef FORK_BENCH_H
#define FORK_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define MSEC		1000000ull
#define SEC		1000000000ull

/* Options */

enum state { OFF, NONE, LOADED, ARMED, RUST, UPSTREAM, NR_STATES };

extern const char * const state_names[];

#define MAX_FAIL	8

struct options {
	long vmas, pages, seed, rounds, reps, fails, tasks, pairs, slot_ms;
	const char *kind, *fail[MAX_FAIL];
	enum state states[NR_STATES], natural[NR_STATES];
	int nr_states, nr_natural, nr_fail;
	bool time;
};

extern struct options opt;

/* One value; what it is of is in the options. */
void sample(const char *measure, const char *variant, uint64_t value);

/* clock.c: time, which may be instructions, and forks that are not interrupted */

uint64_t now(clockid_t clock);
void sleep_ns(uint64_t ns);
void find_tick(void);
/*
 * Sleeps until all is quiet, and further until what begins "before" from then on and
 * takes "len" will not be interrupted by a tick of the clock, if it is short enough.
 */
void settle(uint64_t before, uint64_t len);
/* A child that ends at once; what fork() returns, but errors as the kernel does. */
long raw_fork(void);
void reap(long pid);

/* module.c: files, and the module with what it is told */

bool put(const char *path, const char *text);
const char *get(const char *path);
bool loaded(void);
/* Returns how long that took. */
uint64_t load(void);
void enter(enum state state);
void recover_with(enum state state);
/*
 * From now on forks that ask for it fail when so many per cent of the VMAs are copied,
 * all their pages included, and nothing of the next; "all" is when there is no next.
 */
void aim(const char *where);
/* The same without the module: there is no memory for the VMA of the child behind that. */
void fail_naturally(bool on);
/* Before each fork. */
void aim_naturally(void);
/* What "last" has; it is an error if that is not there. */
bool has_field(const char *record, const char *key);
uint64_t number_in(const char *record, const char *key);
bool word_in(const char *record, const char *key, const char *word);
const char *last_record(void);

/* space.c: the address space */

/* Below the program itself, so that the first of its VMAs is the address space's. */
#define BASE		((char *)0x100000000)

void build_space(void);
int nr_own_vmas(void);

/* helper.c: a process that does what must not add to the VMAs of this one */

enum { DUP_MMAP, EXIT_MMAP, NOTHING, NR_PROBES };

void start_helper(void);
/* How long the functions took the last time; and what the helper holds changes. */
void ask_helper(uint64_t *times);
/* It begins again, for what is compared. */
void restart_helper(uint32_t seed);

/* tasks.c: several tasks at once */

void measure_tasks(void);

#endif /* FORK_BENCH_H */
