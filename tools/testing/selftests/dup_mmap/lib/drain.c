// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "counters.h"
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

/* A worker with something to do is runnable from the moment it gets that. */
static bool workers_are_idle(void)
{
	char path[64], text[256];
	struct dirent *e;
	const char *p;
	bool idle = true;
	DIR *d = opendir("/proc");

	if (!d)
		return true;
	while (idle && (e = readdir(d))) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%.16s/stat", e->d_name);
		if (dm_read_path(path, text, sizeof(text)) <= 0 ||
		    !strstr(text, "(kworker/"))
			continue;
		p = strrchr(text, ')');
		idle = !p || strncmp(p, ") R", 3);
	}
	closedir(d);
	return idle;
}

void dm_drain(void)
{
	double start = dm_seconds();
	int fd[2];

	visit_cpus();
	/*
	 * A barrier waits for the callbacks that there are. This is one, the inode's:
	 * without any there would be no grace period either.
	 */
	if (!pipe(fd)) {
		close(fd[0]);
		close(fd[1]);
	}
	dm_write_path(RCU_BARRIER, "1");
	/* That was the grace period which the lists of kfree_rcu() need ... */
	dm_write_path(DROP_CACHES, "2");
	/* ... unless a worker has them already. On a busy machine one always has. */
	while (!workers_are_idle() && dm_seconds() - start < DM_PATIENT)
		sched_yield();
}
