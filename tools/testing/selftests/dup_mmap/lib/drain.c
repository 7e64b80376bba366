// SPDX-License-Identifier: GPL-2.0
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "drain.h"
#include "io.h"

#define RCU_BARRIER	"/sys/module/rcutree/parameters/do_rcu_barrier"
#define DROP_CACHES	"/proc/sys/vm/drop_caches"

const char *dm_undrainable(void)
{
	if (access(RCU_BARRIER, W_OK))
		return "no " RCU_BARRIER;
	if (access(DROP_CACHES, W_OK))
		return "no " DROP_CACHES " (CONFIG_SYSCTL)";
	return NULL;
}

/* An idle CPU keeps the mm that it ran last until it gets another one. */
static void visit_cpus(void)
{
	cpu_set_t old, one;
	int i;

	if (sched_getaffinity(0, sizeof(old), &old))
		return;
	for (i = 0; i < sysconf(_SC_NPROCESSORS_CONF); i++) {
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		sched_setaffinity(0, sizeof(one), &one);
	}
	sched_setaffinity(0, sizeof(old), &old);
}

/* Tasks that run or could, this one among them. */
static long nr_running(void)
{
	char text[128];
	long n;

	dm_read_path("/proc/loadavg", text, sizeof(text));
	return sscanf(text, "%*s %*s %*s %ld/", &n) == 1 ? n : -1;
}

void dm_wait_until_idle(void)
{
	int i;

	/*
	 * A worker of the kernel is runnable from the moment it has something to do, and
	 * so is a process. On a busy machine somebody always is; but then each has had
	 * its turn.
	 */
	for (i = 0; i < 1000 && nr_running() > 1; i++)
		sched_yield();
}

void dm_rcu_barrier(void)
{
	int fd[2];

	/*
	 * It waits for the callbacks that there are. This is one, the inode's: without
	 * any there would be no grace period either.
	 */
	if (!pipe(fd)) {
		close(fd[0]);
		close(fd[1]);
	}
	dm_write_path(RCU_BARRIER, "1");
}

void dm_drain_once(void)
{
	visit_cpus();
	dm_rcu_barrier();
	/* That was the grace period which the lists of kfree_rcu() need. */
	dm_write_path(DROP_CACHES, "2");
	dm_wait_until_idle();
}

void dm_drain(void)
{
	dm_drain_once();
	/* A worker may have taken a list of kfree_rcu() along while the first one waited. */
	dm_drain_once();
}
