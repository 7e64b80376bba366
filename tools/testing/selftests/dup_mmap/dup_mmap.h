/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Making fork() fail at a chosen point of dup_mmap() and judging the result.
 *
 * A check here is a function that returns "" when all is well and otherwise
 * one sentence saying what is wrong, so that harness tests, the demo and loops
 * over many cases can share it. The sentence is in a static buffer which the
 * next check overwrites.
 *
 * Nothing between the two snapshots around a fork may change the address space
 * of the process: no malloc(), no stdio streams, all large buffers are static.
 */
#ifndef DUP_MMAP_H
#define DUP_MMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "kselftest.h"

#define DM_MODULE	"dup_mmap_recovery"
#define DM_DIR		"/sys/kernel/debug/" DM_MODULE
#define DM_FAIL		"fail_dup_mmap/"

#define DM_MAX_VMAS	1400
#define DM_TEXT		131072

/* The failure points, in the order in which dup_mmap() passes them. */
enum dm_point {
	DM_MMAP_WRITE_LOCK,
	DM_MT_DUP,
	DM_VMA_START_WRITE,
	DM_CLEAR_DONTCOPY,
	DM_VM_ENOUGH_MEMORY,
	DM_VM_AREA_DUP,
	DM_DUP_POLICY,
	DM_DUP_USERFAULTFD,
	DM_ANON_VMA_FORK,
	DM_COPY_PAGE_RANGE,
	DM_ARCH_DUP_MMAP,
	DM_NR_POINTS,
};

struct dm_point_info {
	const char *name;
	int err;		/* what dup_mmap() returns by itself */
	bool err_kept;		/* false: dup_mmap() says -ENOMEM whatever happened */
	bool has_vma;
};

extern const struct dm_point_info dm_points[DM_NR_POINTS];

/* DM_NR_POINTS if there is none of that name. */
enum dm_point dm_point_of(const char *name);

/* The address space as /proc/self/maps shows it; index = position in it. */
struct dm_vma {
	unsigned long start, end;
	bool dontcopy, wipeonfork, account;
	bool no_access;		/* PROT_NONE */
	char name[64];
};

struct dm_maps {
	int nr;
	struct dm_vma vma[DM_MAX_VMAS];
	size_t len;
	char text[DM_TEXT];	/* /proc/self/maps */
};

/* What a fork failing at a point for a VMA must leave in `last` and `stats`. */
struct dm_expect {
	bool fails;		/* false: the step is not reached, fork works */
	bool recovered;		/* false: dup_mmap() returns before recovery */
	int index;
	int err;
	const char *class;
	unsigned long long end;
	unsigned long copied, torn_down, uncharged;
};

struct dm_record {
	bool none;		/* the file says that no fork failed yet */
	int pid;
	char comm[32];
	char point[32];
	int index;
	bool has_vma;
	unsigned long start, end_addr;
	int err;
	char injected;
	unsigned long alloc_nth, recovery_alloc_nth;
	char recovery_alloc_failed;
	char recovery[16];
	char class[16];
	bool has_end;
	unsigned long long end;
	unsigned long copied, torn_down, uncharged, ns;
};

struct dm_stats {
	unsigned long forks, failed, injected, allocs_failed, allocs_missed;
	unsigned long rust, upstream;
	unsigned long torn_down, uncharged;
};

struct dm_counts {
	unsigned long hits[DM_NR_POINTS], injected[DM_NR_POINTS];
};

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

/* Files of the module. Writes return 0 or a negative errno. */
ssize_t dm_read_path(const char *path, char *buf, size_t size);
int dm_write_path(const char *path, const char *text);
ssize_t dm_read(const char *name, char *buf, size_t size);
int dm_write(const char *name, const char *text);
int dm_write_bytes(const char *name, const void *data, size_t len, off_t off);
long dm_read_number(const char *path);

/* Of "a [b] c" the b, cut out in place; NULL if there is none. */
char *dm_bracketed(char *text);

/* The entries of /proc/self/pagemap for nr pages from addr on. */
bool dm_pagemap(const void *addr, size_t nr, uint64_t *entry);
#define DM_PAGE_PRESENT(entry)	((entry) >> 63 & 1)
#define DM_PAGE_SWAPPED(entry)	((entry) >> 62 & 1)
#define DM_PAGE_FRAME(entry)	((entry) & ((1ull << 55) - 1))

/* NULL when the module and its files are there, else why not. */
const char *dm_unavailable(void);
/* For main(): prints a TAP skip and exits if there is nothing to test. */
void dm_skip_unless_available(void);

/* Which recovery is active ("" if the file is not as documented). */
const char *dm_recovery(void);
const char *dm_use_recovery(const char *name);
void dm_reset(void);

/*
 * Arm a failure for this task only, once. A fork made by anyone else, the test
 * harness included, must not fail. Settings not named here are as dm_reset()
 * leaves them.
 */
const char *dm_arm(enum dm_point point, int index, int err);
void dm_disarm(void);

/* fork() without a C library around it; the child leaves at once. */
pid_t dm_fork(int *err);
/* The same, and the child's exit status is what fn(arg) returns. */
int dm_fork_run(int (*fn)(void *arg), void *arg);

/*
 * Starts the program again without an area of restartable sequences. After a
 * fork the first write to a page copies it, and a page fault that finds no memory
 * for that tries again, unless it is the kernel's own for that area: then it is a
 * SIGSEGV.
 */
void dm_without_rseq(char **argv);

/* The flags are in smaps, which takes the kernel ten times as long. */
const char *dm_get_maps(struct dm_maps *maps);
const char *dm_get_maps_and_flags(struct dm_maps *maps);
const char *dm_get_record(struct dm_record *rec);
const char *dm_get_stats(struct dm_stats *stats);
const char *dm_get_counts(struct dm_counts *counts);

bool dm_reached(enum dm_point point, const struct dm_vma *vma);
void dm_model(const struct dm_maps *maps, enum dm_point point, int index,
	      int err, struct dm_expect *want);
const char *dm_compare(const struct dm_maps *maps, const struct dm_expect *want,
		       enum dm_point point, const char *recovery,
		       const struct dm_record *rec);

/*
 * One fork with the failure armed, and everything that can be judged cheaply:
 * what fork() said, the record, the counters, the parent and Committed_AS.
 */
const char *dm_shoot(enum dm_point point, int index, int err,
		     const char *recovery, struct dm_record *rec);

/* The position in maps of the VMA that addr is in, or -1. */
int dm_index_of(const struct dm_maps *maps, const void *addr);

/*
 * Every point at the VMA of addr, then those of the VMA after it, so that the
 * first one has been copied and is torn down. check(arg) returns "" while the memory
 * of this process is as it should be.
 */
const char *dm_shoot_around(const void *addr, const char *recovery,
			    const char *(*check)(void *arg), void *arg);

/*
 * Allocations that fail for real, one after the other, by the kernel's own
 * fault attributes and /proc/thread-self/fail-nth: of this task only, and only
 * those made inside of one kernel function.
 */
struct dm_alloc {
	int nr;
	struct {
		char path[96], old[32];
	} file[64];		/* what dm_alloc_begin() changed */
};

/*
 * function NULL: none is counted at all; "": all are, and some other way
 * chooses which. Returns why it can't be done, or
 * NULL. In any case dm_alloc_end() puts the attributes back.
 */
const char *dm_alloc_begin(struct dm_alloc *a, const char *function);
void dm_alloc_end(struct dm_alloc *a);
/* fail-nth of this task; -1: not available. */
int dm_set_nth(int nth);
int dm_get_nth(void);
/*
 * Forks until none of these allocations is left to fail, and judges each fork
 * that failed: it must have failed at this point. *failed counts them. Begins
 * again, a few times, if they are not as many as expected.
 */
const char *dm_fail_allocs(enum dm_point point, const char *recovery,
			   const char *(*check)(void *arg), void *arg,
			   int at_least, int *failed);

/* NULL, or why this machine can't have such a VMA at this position. */
const char *dm_build(struct dm_layout *l, enum dm_kind kind,
		     enum dm_position position);
const char *dm_check_layout(struct dm_layout *l);
const char *dm_check_clean_fork(struct dm_layout *l);
const char *dm_unbuild(struct dm_layout *l);

/* Counters of the whole system which a failed fork must not move. */
enum dm_counter {
	DM_COMMITTED_AS,
	DM_PAGE_TABLES,
	DM_HUGE_FREE,
	DM_HUGE_RSVD,
	DM_SLAB_FIRST,
	DM_SLAB_VMA = DM_SLAB_FIRST,
	DM_SLAB_MAPLE_NODE,
	DM_SLAB_ANON_VMA,
	DM_SLAB_ANON_VMA_CHAIN,
	DM_SLAB_MM,
	DM_SLAB_MEMPOLICY,
	DM_NR_COUNTERS,
};

extern const char * const dm_counter_names[DM_NR_COUNTERS];

struct dm_counters {
	long v[DM_NR_COUNTERS];	/* -1: not available on this kernel */
};

bool dm_have_slab(void);
void dm_get_counters(struct dm_counters *c);
/*
 * Freed objects come back late: kfree_rcu() collects them for up to five
 * seconds. A baseline that still has them would hide as many leaked ones, so
 * this waits until the numbers no longer fall.
 */
void dm_settle(struct dm_counters *c);
/*
 * Looks up to so many seconds: 0 to see whether anything is missing right now,
 * DM_PATIENT to call it a leak.
 */
#define DM_PATIENT	20
const char *dm_check_counters(const struct dm_counters *before, int seconds);

/* Swap on zram0, prepared as mkswap would. NULL, or why there is none. */
const char *dm_swap_on(void);
void dm_swap_off(void);
/* Pages it all out. Looking at it brings it back. */
bool dm_page_out(void *p, size_t len);

long dm_committed_as(void);
int dm_nr_fds(void);
/* Of whole words. */
unsigned long long dm_sum(const void *p, size_t len);
/* Of the monotonic clock. */
double dm_seconds(void);
/* The kernel has warned, died or found a bad page since boot. */
unsigned long dm_taint(void);

#endif /* DUP_MMAP_H */
