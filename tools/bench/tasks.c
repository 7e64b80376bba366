// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define MAX_TASKS	8

/* What the tasks and the one who starts them share. */
struct shared {
	int go[MAX_TASKS];		/* the slot that it is to work in, -1: end */
	int done[MAX_TASKS];
	uint64_t until;
	bool fails;
	uint64_t forks[MAX_TASKS], ns[MAX_TASKS];
};

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "there is no CPU %d", cpu);
}

static void task(struct shared *s, int me)
{
	int slot, last = 0;

	pin(me);
	for (;;) {
		uint64_t start, nr = 0;

		while ((slot = __atomic_load_n(&s->go[me], __ATOMIC_ACQUIRE)) == last)
			sleep_ns(MSEC / 2);
		if (slot < 0)
			_exit(0);
		last = slot;
		put("/proc/self/make-it-fail", s->fails ? "1" : "0");
		start = now(CLOCK_MONOTONIC);
		do {
			long pid = raw_fork();

			if (s->fails ? pid != -ENOMEM : pid < 0)
				_exit(1);
			if (pid > 0)
				reap(pid);
			nr++;
		} while (now(CLOCK_MONOTONIC) < s->until);
		s->ns[me] = now(CLOCK_MONOTONIC) - start;
		s->forks[me] = nr;
		__atomic_store_n(&s->done[me], slot, __ATOMIC_RELEASE);
	}
}

static void slot(struct shared *s, int nr, enum state state, const char *measure)
{
	double rate = 0;
	int i;

	enter(state);
	s->fails = state == RUST || state == UPSTREAM;
	if (s->fails)
		aim("100");
	/* What a module that comes or goes leaves to do is done later. */
	sleep_ns(opt.time ? 20 * MSEC : SEC);
	s->until = now(CLOCK_MONOTONIC) + opt.slot_ms * MSEC;
	for (i = 0; i < opt.tasks; i++)
		__atomic_store_n(&s->go[i], nr, __ATOMIC_RELEASE);
	for (i = 0; i < opt.tasks; i++) {
		while (__atomic_load_n(&s->done[i], __ATOMIC_ACQUIRE) != nr) {
			int status;
			pid_t pid = waitpid(-1, &status, WNOHANG);

			if (pid > 0)
				errx(1, "a task has ended");
			sleep_ns(MSEC / 2);
		}
		rate += s->forks[i] * 1e9 / s->ns[i];
	}
	if (measure)
		sample(measure, state_names[state], rate + 0.5);
}

void measure_tasks(void)
{
	struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char measure[32];
	int i, j, nr = 0;
	long pair;

	if (s == MAP_FAILED)
		err(1, "cannot map");
	if (opt.tasks > MAX_TASKS)
		errx(2, "no more than %d tasks", MAX_TASKS);
	for (i = 0; i < opt.tasks; i++) {
		pid_t pid = fork();

		if (pid < 0)
			err(1, "cannot fork");
		if (!pid)
			task(s, i);
	}
	snprintf(measure, sizeof(measure), "forks a second, %ld tasks", opt.tasks);
	/* Each pair the other way round. */
	for (pair = 0; pair <= opt.pairs; pair++) {
		for (i = 0; i < opt.nr_states; i++) {
			j = pair % 2 ? opt.nr_states - 1 - i : i;
			slot(s, ++nr, opt.states[j], pair ? measure : NULL);
		}
	}
	for (i = 0; i < opt.tasks; i++)
		__atomic_store_n(&s->go[i], -1, __ATOMIC_RELEASE);
	for (i = 0; i < opt.tasks; i++)
		wait(NULL);
	enter(NONE);
}
