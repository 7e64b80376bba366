// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"

#include "drain.h"
#include "io.h"

#define RCU_BARRIER	"/sys/module/rcutree/parameters/do_rcu_barrier"
#define DROP_CACHES	"/proc/sys/vm/drop_caches"
#define LOADAVG		"/proc/loadavg"
#define HUGE_PAGES	"/sys/kernel/mm/transparent_hugepage/enabled"

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
static long nr_running(int loadavg)
{
	char text[128] = "";
	long n;

	if (pread(loadavg, text, sizeof(text) - 1, 0) <= 0)
		return -1;
	return sscanf(text, "%*s %*s %*s %ld/", &n) == 1 ? n : -1;
}

static void wait_until_idle(int loadavg)
{
	int i;

	/*
	 * A worker of the kernel is runnable from the moment it has something to do, and
	 * so is a process. On a busy machine somebody always is; but then each has had
	 * its turn.
	 */
	for (i = 0; i < 1000 && nr_running(loadavg) > 1; i++)
		sched_yield();
}

static void rcu_barrier(int file)
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
	pwrite(file, "1", 1, 0);
}

void dm_drain_open(struct dm_drain *drain)
{
	drain->barrier = open(RCU_BARRIER, O_WRONLY | O_CLOEXEC);
	drain->caches = open(DROP_CACHES, O_WRONLY | O_CLOEXEC);
	drain->loadavg = open(LOADAVG, O_RDONLY | O_CLOEXEC);
}

void dm_drain_close(struct dm_drain *drain)
{
	close(drain->barrier);
	close(drain->caches);
	close(drain->loadavg);
}

void dm_drain_once(const struct dm_drain *drain)
{
	visit_cpus();
	rcu_barrier(drain->barrier);
	/* That was the grace period which the lists of kfree_rcu() need. */
	pwrite(drain->caches, "2", 1, 0);
	wait_until_idle(drain->loadavg);
}

void dm_drain(void)
{
	struct dm_drain drain;

	dm_drain_open(&drain);
	dm_drain_once(&drain);
	/* A worker may have taken a list of kfree_rcu() along while the first one waited. */
	dm_drain_once(&drain);
	dm_drain_close(&drain);
}

void dm_stop_khugepaged(void)
{
	static const char * const modes[] = { "always", "madvise" };
	char text[64], active[16];
	size_t i;

	dm_read_path(HUGE_PAGES, text, sizeof(text));
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		snprintf(active, sizeof(active), "[%s]", modes[i]);
		if (!strstr(text, active))
			continue;
		/* This waits for the end of the thread, and the next one starts another. */
		dm_write_path(HUGE_PAGES, "never");
		dm_write_path(HUGE_PAGES, modes[i]);
	}
}

void dm_rcu_barrier(void)
{
	int fd = open(RCU_BARRIER, O_WRONLY | O_CLOEXEC);

	rcu_barrier(fd);
	close(fd);
}

void dm_wait_until_idle(void)
{
	int fd = open(LOADAVG, O_RDONLY | O_CLOEXEC);

	wait_until_idle(fd);
	close(fd);
}
