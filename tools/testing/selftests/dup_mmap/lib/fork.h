/* SPDX-License-Identifier: GPL-2.0 */
/* fork() without what a C library and its own threads add to it. */
#ifndef DM_FORK_H
#define DM_FORK_H

#include <sys/types.h>

/* fork() without a C library around it: what fork() returns, and errno. */
pid_t dm_bare_fork(void);
/* The same; the child leaves at once. */
pid_t dm_fork(int *err);
/*
 * fork(), and fn(arg) in the child. Returns what fn() returned, or 128 plus the signal that
 * killed the child, or a negative errno of fork() or waitpid().
 */
int dm_fork_run(int (*fn)(void *arg), void *arg);
/* Whether it works: 0 or its errno. The child has ended by then. */
int dm_try_fork(void);

/*
 * Starts the program again without an area of restartable sequences. After a
 * fork the first write to a page copies it, and a page fault that finds no memory
 * for that tries again, unless it is the kernel's own for that area: then it is a
 * SIGSEGV.
 */
void dm_without_rseq(char **argv);

#endif /* DM_FORK_H */
