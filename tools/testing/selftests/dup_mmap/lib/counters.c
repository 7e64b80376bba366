// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "counters.h"
#include "drain.h"
#include "io.h"
#include "say.h"

const char * const dm_counter_names[DM_NR_COUNTERS] = {
	[DM_COMMITTED_AS]		= "Committed_AS",
	[DM_PAGE_TABLES]		= "PageTables",
	[DM_HUGE_FREE]			= "HugePages_Free",
	[DM_HUGE_RSVD]			= "HugePages_Rsvd",
	[DM_HUGE_SURP]			= "HugePages_Surp",
	[DM_SLAB_VMA]			= "vm_area_struct",
	[DM_SLAB_MAPLE_NODE]		= "maple_node",
	[DM_SLAB_ANON_VMA]		= "anon_vma",
	[DM_SLAB_ANON_VMA_CHAIN]	= "anon_vma_chain",
	[DM_SLAB_MM]			= "mm_struct",
	[DM_SLAB_MEMPOLICY]		= "numa_policy",
	[DM_SLAB_FILE]			= "filp",
	[DM_SLAB_SHMEM]			= "shmem_inode_cache",
	[DM_SLAB_HUGETLBFS]		= "hugetlbfs_inode_cache",
	[DM_SLAB_USERFAULTFD]		= "userfaultfd_ctx_cache",
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

/* The files of each cache: all open before the first one is counted. */
struct slab {
	int shrink, objects;
};

static void open_slabs(struct slab slab[DM_NR_COUNTERS])
{
	int i;

	for (i = DM_SLAB_FIRST; i < DM_NR_COUNTERS; i++) {
		slab[i].shrink = open(slab_path(i, "shrink"), O_WRONLY | O_CLOEXEC);
		slab[i].objects = open(slab_path(i, "objects"), O_RDONLY | O_CLOEXEC);
	}
}

static void close_slabs(struct slab slab[DM_NR_COUNTERS])
{
	int i;

	for (i = DM_SLAB_FIRST; i < DM_NR_COUNTERS; i++) {
		close(slab[i].shrink);
		close(slab[i].objects);
	}
}

static bool shrink(const struct slab *slab)
{
	return pwrite(slab->shrink, "1", 1, 0) == 1;
}

/* A CPU that allocates one takes a whole sheaf of them, which count all. */
static long shrink_and_count(const struct slab *slab)
{
	char text[64] = "";

	if (!shrink(slab) || pread(slab->objects, text, sizeof(text) - 1, 0) <= 0)
		return -1;
	return strtol(text, NULL, 10);
}

/* What a kernel is built without it need not count. */
static bool lacks(enum dm_counter c)
{
	switch (c) {
	case DM_HUGE_FREE:
	case DM_HUGE_RSVD:
	case DM_HUGE_SURP:
	case DM_SLAB_HUGETLBFS:
		return access("/proc/sys/vm/nr_hugepages", F_OK);
	case DM_SLAB_MEMPOLICY:
		return access("/proc/self/numa_maps", F_OK);
	case DM_SLAB_USERFAULTFD:
		return access("/proc/sys/vm/unprivileged_userfaultfd", F_OK);
	default:
		return false;
	}
}

const char *dm_uncountable(void)
{
	if (dm_read_number(slab_path(DM_SLAB_VMA, "objects")) < 0)
		return "no /sys/kernel/slab/*/objects (CONFIG_SLUB_DEBUG)";
	if (dm_cgroup_stat("pagetables") < 0)
		return "not in a cgroup of its own, with the memory controller";
	return dm_undrainable();
}

static void count(struct dm_counters *c)
{
	struct slab slab[DM_NR_COUNTERS];
	static char text[8192];
	struct dm_drain drain;
	long tables, own;
	int i;

	/*
	 * Freed objects stay in sheaves and, with KASAN, in quarantine. From the barrier to
	 * the last count this process neither opens nor closes a file: that is an object
	 * too, and waits for a grace period.
	 */
	open_slabs(slab);
	dm_drain_open(&drain);
	for (i = DM_SLAB_FIRST; i < DM_NR_COUNTERS; i++)
		shrink(&slab[i]);
	dm_drain_once(&drain);
	for (i = DM_SLAB_FIRST; i < DM_NR_COUNTERS; i++)
		c->v[i] = shrink_and_count(&slab[i]);
	dm_drain_close(&drain);
	close_slabs(slab);
	dm_read_path("/proc/meminfo", text, sizeof(text));
	c->v[DM_COMMITTED_AS] = meminfo(text, "Committed_AS");
	c->v[DM_HUGE_FREE] = meminfo(text, "HugePages_Free");
	c->v[DM_HUGE_RSVD] = meminfo(text, "HugePages_Rsvd");
	c->v[DM_HUGE_SURP] = meminfo(text, "HugePages_Surp");
	/* This process may have more than before, and does: it maps and unmaps. */
	tables = dm_cgroup_stat("pagetables");
	dm_read_path("/proc/self/status", text, sizeof(text));
	own = meminfo(text, "VmPTE");
	/* Some that it has were charged before it entered the cgroup; not so many. */
	c->v[DM_PAGE_TABLES] = tables < 0 || own < 0 ? -1 : (tables >> 10) - own + (1 << 20);
}

static void count_once(struct dm_counters *c)
{
	static struct dm_others now;
	bool keep = dm_close_kept();

	/* What one had that ended meanwhile may be in some of these, and not in others. */
	do {
		dm_get_others(&c->others);
		count(c);
		dm_get_others(&now);
	} while (dm_gone(&c->others, &now).processes);
	if (keep)
		dm_keep_open();
}

void dm_get_counters(struct dm_counters *c)
{
	static struct dm_counters last;
	int i;

	/*
	 * What is still on its way would be missing later, as if too much had been given
	 * back. Nobody says what is on its way; what is, arrives.
	 */
	dm_stop_khugepaged();
	count_once(c);
	for (i = 0; i < 20; i++) {
		last = *c;
		count_once(c);
		if (!memcmp(last.v, c->v, sizeof(c->v)) &&
		    !dm_gone(&last.others, &c->others).processes)
			return;
	}
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

/* Fewer of them than before is one too many given back, but for these. */
static long may_shrink(enum dm_counter c, const struct dm_gone *gone)
{
	if (!gone->processes)
		return 0;
	switch (c) {
	case DM_COMMITTED_AS:
		return gone->kb;
	case DM_SLAB_VMA:
	case DM_SLAB_MAPLE_NODE:
		return gone->vmas;
	case DM_SLAB_MM:
		return gone->processes;
	case DM_SLAB_ANON_VMA:
	case DM_SLAB_ANON_VMA_CHAIN:
	case DM_SLAB_FILE:
		/* Shared with processes that are still there, or not. */
		return LONG_MAX;
	default:
		return 0;
	}
}

const char *dm_compare_counters(const struct dm_counters *before,
				const struct dm_counters *now)
{
	struct dm_gone gone = dm_gone(&before->others, &now->others);
	static char text[512];
	size_t len = 0;
	long more;
	int i;

	for (i = 0; i < DM_NR_COUNTERS; i++) {
		if ((before->v[i] < 0 || now->v[i] < 0) && !lacks(i))
			return say("cannot count %s", dm_counter_names[i]);
		more = now->v[i] - before->v[i];
		if (more <= 0 && -more <= may_shrink(i, &gone))
			continue;
		len += snprintf(text + len, sizeof(text) - len, " %s %+ld",
				dm_counter_names[i], more);
	}
	return len ? say("given back too little or too much:%s", text) : "";
}

const char *dm_check_counters(const struct dm_counters *before, int wait)
{
	static struct dm_counters now;
	double start = dm_seconds();
	const char *why = dm_uncountable();

	if (why)
		return why;
	do {
		count_once(&now);
		why = dm_compare_counters(before, &now);
		if (*why)
			dm_stop_khugepaged();
	} while (*why && dm_seconds() - start < wait);
	return why;
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
