// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "counters.h"
#include "drain.h"
#include "io.h"
#include "say.h"

const char * const dm_counter_names[DM_NR_COUNTERS] = {
	[DM_COMMITTED_AS]		= "Committed_AS",
	[DM_PAGE_TABLES]		= "PageTables",
	[DM_HUGE_FREE]			= "HugePages_Free",
	[DM_HUGE_RSVD]			= "HugePages_Rsvd",
	[DM_SLAB_VMA]			= "vm_area_struct",
	[DM_SLAB_MAPLE_NODE]		= "maple_node",
	[DM_SLAB_ANON_VMA]		= "anon_vma",
	[DM_SLAB_ANON_VMA_CHAIN]	= "anon_vma_chain",
	[DM_SLAB_MM]			= "mm_struct",
	[DM_SLAB_MEMPOLICY]		= "numa_policy",
};

static long meminfo(const char *text, const char *key)
{
	const char *p = strstr(text, key);
	char *end;
	long v;

	if (!p)
		return -1;
	p += strlen(key) + 1;
	v = strtol(p, &end, 10);
	return end == p ? -1 : v;
}

long dm_committed_as(void)
{
	static char text[8192];

	dm_read_path("/proc/meminfo", text, sizeof(text));
	return meminfo(text, "Committed_AS");
}

static const char *slab_path(enum dm_counter c, const char *file)
{
	static char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/%s",
		 dm_counter_names[c], file);
	return path;
}

static void shrink_slabs(void)
{
	int i;

	for (i = DM_SLAB_FIRST; i < DM_NR_COUNTERS; i++)
		dm_write_path(slab_path(i, "shrink"), "1");
}

/* What a kernel is built without it need not count. */
static bool lacks(enum dm_counter c)
{
	switch (c) {
	case DM_HUGE_FREE:
	case DM_HUGE_RSVD:
		return access("/proc/sys/vm/nr_hugepages", F_OK);
	case DM_SLAB_MEMPOLICY:
		return access("/proc/self/numa_maps", F_OK);
	default:
		return false;
	}
}

const char *dm_uncountable(void)
{
	if (dm_read_number(slab_path(DM_SLAB_VMA, "objects")) < 0)
		return "no /sys/kernel/slab/*/objects (CONFIG_SLUB_DEBUG)";
	return dm_undrainable();
}

void dm_get_counters(struct dm_counters *c)
{
	static char text[8192];
	long own;
	int err, i;

	/* Freed objects stay in sheaves and, with KASAN, in quarantine. */
	shrink_slabs();
	dm_drain();
	shrink_slabs();
	for (i = DM_SLAB_FIRST; i < DM_NR_COUNTERS; i++)
		c->v[i] = dm_read_number(slab_path(i, "objects"));
	/*
	 * Folds the per-CPU differences, without which PageTables is a guess. Where
	 * there is one CPU only, there are none, and no such file.
	 */
	err = dm_write_path("/proc/sys/vm/stat_refresh", "1");
	dm_read_path("/proc/meminfo", text, sizeof(text));
	c->v[DM_COMMITTED_AS] = meminfo(text, "Committed_AS");
	c->v[DM_PAGE_TABLES] = meminfo(text, "PageTables");
	c->v[DM_HUGE_FREE] = meminfo(text, "HugePages_Free");
	c->v[DM_HUGE_RSVD] = meminfo(text, "HugePages_Rsvd");
	/* This process may have more than before, and does: it maps and unmaps. */
	dm_read_path("/proc/self/status", text, sizeof(text));
	own = meminfo(text, "VmPTE");
	if ((err && err != -ENOENT) || own < 0)
		c->v[DM_PAGE_TABLES] = -1;
	else
		c->v[DM_PAGE_TABLES] -= own;
}

unsigned long dm_ns(void)
{
	struct timespec t;

	/* Not by the vdso, which may be elsewhere: see layouts. */
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ul + t.tv_nsec;
}

double dm_seconds(void)
{
	return dm_ns() / 1e9;
}

const char *dm_check_counters(const struct dm_counters *before, int wait)
{
	/*
	 * The kernel's own page tables count too, and those of vmalloc, where
	 * the stacks of new tasks are, stay. A table that a failed fork leaves
	 * behind is found exactly, by check_mm() and in the kernel's log.
	 */
	static const long slack[DM_NR_COUNTERS] = { [DM_PAGE_TABLES] = 64 };
	static struct dm_counters now;
	static char text[512];
	double start = dm_seconds();
	size_t len = 0;
	const char *why = dm_uncountable();
	bool worse;
	int i;

	if (why)
		return why;

	/* Fewer is no leak: something else has let go. */
	do {
		dm_get_counters(&now);
		worse = false;
		for (i = 0; i < DM_NR_COUNTERS; i++) {
			if ((before->v[i] < 0 || now.v[i] < 0) && !lacks(i))
				return say("cannot count %s", dm_counter_names[i]);
			if (i == DM_HUGE_FREE ? now.v[i] < before->v[i] :
						now.v[i] > before->v[i] + slack[i])
				worse = true;
		}
	} while (worse && dm_seconds() - start < wait);
	if (!worse)
		return "";
	for (i = 0; i < DM_NR_COUNTERS; i++)
		if (now.v[i] != before->v[i])
			len += snprintf(text + len, sizeof(text) - len, " %s %+ld",
					dm_counter_names[i],
					now.v[i] - before->v[i]);
	return say("not given back:%s", text);
}

#define TAINTED		"/proc/sys/kernel/tainted"
#define UNREADABLE	(~0ul)

unsigned long dm_taint(void)
{
	/* Bad page, machine died (Oops), warning, soft lockup. */
	const unsigned long bad = 1ul << 5 | 1ul << 7 | 1ul << 9 | 1ul << 14;

	long taint = dm_read_number(TAINTED);

	return taint < 0 ? UNREADABLE : taint & bad;
}

const char *dm_check_taint(unsigned long before)
{
	unsigned long now = dm_taint();

	if (before == UNREADABLE || now == UNREADABLE)
		return "cannot read " TAINTED;
	if (now != before)
		return say("the kernel complained (taint %#lx, was %#lx): see dmesg",
			   now, before);
	return "";
}
