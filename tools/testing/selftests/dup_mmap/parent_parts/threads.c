// SPDX-License-Identifier: GPL-2.0
/* The threads of the parent, and the processes that share its address space. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "parent.h"

#define STACK		(256ul << 10)
#define NR_STORMS	100000

const char *leaver_name(int i)
{
	return i == EXEC ? "exec" : "exit";
}

/* All of it above the failure, again and again, also while the fork is let go. */
static void storm(void)
{
	char *p = at(52);
	size_t len = 6 * scene->page;
	int i;

	for (i = 0; i < NR_STORMS && !__atomic_load_n(&scene->stop, __ATOMIC_SEQ_CST); i++) {
		mmap(p, len, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		/* Another one may have unmapped it: not written by this program itself. */
		madvise(p, len, MADV_POPULATE_WRITE);
		mprotect(p + scene->page, scene->page, PROT_READ);
		madvise(p, len / 2, MADV_DONTNEED);
		munmap(p + i % 6 * scene->page, scene->page);
		__atomic_add_fetch(&scene->storms, 1, __ATOMIC_SEQ_CST);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	char what;

	w->tid = syscall(SYS_gettid);
	while (read(w->go[0], &what, 1) == 1) {
		if (what == 's')
			storm();
		else
			w->why = ops[w - scene->worker].op();
		__atomic_store_n(&w->done, true, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

/*
 * Shares the address space, and its end is not that of the others. Shares the files
 * too: so it does not keep one whose closing would be held.
 */
static int leave(void *arg)
{
	static char * const argv[] = { "parent_goes_on", "--leave", NULL };
	struct worker *w = arg;
	char what;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || read(w->go[0], &what, 1) != 1)
		return 1;
	if (w == &scene->leaver[EXEC])
		execve("/proc/self/exe", argv, NULL);
	/* If it is still here to say so, it has failed. */
	syscall(SYS_exit_group, w == &scene->leaver[EXEC]);
	return 1;
}

/*
 * Not copied by fork, so that no use of it is a page fault: who waits, waits for what
 * it does. But who forks itself leaves a stack to its child.
 */
static void *make_stack(bool forks)
{
	void *p = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return p == MAP_FAILED || (!forks && madvise(p, STACK, MADV_DONTFORK)) ? NULL : p;
}

bool start_threads(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	char *stack;
	int i;

	for (i = 0; i < NR_OPS; i++) {
		stack = make_stack(i == FORK);
		if (!stack || pthread_attr_init(&attr) ||
		    pthread_attr_setstack(&attr, stack, STACK) ||
		    pthread_create(&thread, &attr, work, &scene->worker[i]))
			return false;
		while (!__atomic_load_n(&scene->worker[i].tid, __ATOMIC_SEQ_CST))
			sched_yield();
	}
	for (i = 0; i < NR_LEAVERS; i++) {
		stack = make_stack(false);
		if (!stack)
			return false;
		scene->leaver[i].tid = clone(leave, stack + STACK, CLONE_VM | CLONE_FILES | SIGCHLD,
					     &scene->leaver[i]);
		if (scene->leaver[i].tid < 0)
			return false;
	}
	return true;
}
