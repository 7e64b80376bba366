// SPDX-License-Identifier: GPL-2.0
/* Unplugs CPUs, and plugs them in again. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "storm.h"

#define CPU_ONLINE	"/sys/devices/system/cpu/cpu%d/online"

enum { UNPLUGGED, PLUGGED };

static int plug(int cpu, bool in)
{
	char path[64];

	snprintf(path, sizeof(path), CPU_ONLINE, cpu);
	return dm_write_path(path, in ? "1" : "0");
}

bool can_be_unplugged(int cpu)
{
	char path[64];

	snprintf(path, sizeof(path), CPU_ONLINE, cpu);
	return !access(path, W_OK);
}

/*
 * One in each epoch: who loads or unloads a module waits for a CPU that comes or goes,
 * several times.
 */
static void be_plugger(int nr)
{
	unsigned long since, last = -1;
	bool in[MAX_CPUS];
	int cpu, ret;

	memset(in, true, sizeof(in));
	while (!stopped()) {
		doing("waits for the next epoch");
		since = epoch();
		if (since == last) {
			moves();
			usleep(1000);
			continue;
		}
		last = since;
		cpu = 1 + random_below(nr_cpus - 1);
		in[cpu] = !in[cpu];
		doing("%s CPU %d", in[cpu] ? "plugs" : "unplugs", cpu);
		ret = plug(cpu, in[cpu]);
		if (ret)
			wrong("CPU %d, online %d: %d", cpu, in[cpu], ret);
		count(in[cpu] ? PLUGGED : UNPLUGGED);
		did(since);
	}
	for (cpu = 1; cpu < nr_cpus; cpu++)
		if (!in[cpu])
			plug(cpu, true);
}

const struct kind plugger = {
	"plugger", 1, be_plugger, true, false, { "unplugged", "plugged" },
};
