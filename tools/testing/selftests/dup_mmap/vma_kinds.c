// SPDX-License-Identifier: GPL-2.0
/* See vma_kinds.h. */
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dup_mmap.h"
#include "vma_kinds.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#endif

#define KSM_RUN		"/sys/kernel/mm/ksm/run"
#define HUGE_POOL	"/proc/sys/vm/nr_hugepages"
#define HUGE_VMAS	2	/* kinds of them, of two huge pages each */

static size_t page, pmd, huge;
static int memfd = -1, program = -1, uffd = -1, gup = -1;
static struct dm_layout first, last;
static pthread_t monitor_thread;
static bool swap;
static char old_pool[32];

static bool plain(char *p, size_t len)
{
	memset(p, 0x5a, len);
	return true;
}

/* Nothing is written, so it has the content of the file, or none. */
static bool untouched(char *p, size_t len)
{
	return true;
}

static bool dontfork(char *p, size_t len)
{
	return plain(p, len) && !madvise(p, len, MADV_DONTFORK);
}

static bool wipeonfork(char *p, size_t len)
{
	return plain(p, len) && !madvise(p, len, MADV_WIPEONFORK);
}

static bool locked(char *p, size_t len)
{
	return plain(p, len) && !mlock(p, len);
}

static bool bound(char *p, size_t len)
{
	unsigned long node = 1;

	return plain(p, len) &&
		!syscall(SYS_mbind, p, len, MPOL_BIND, &node, 8 * sizeof(node), 0);
}

static bool transparent(char *p, size_t len)
{
	return !madvise(p, len, MADV_HUGEPAGE) && plain(p, len);
}

/* The other half stays a reservation. */
static bool half(char *p, size_t len)
{
	return plain(p, len / 2);
}

static bool guarded(char *p, size_t len)
{
	return plain(p, len) && !madvise(p + len - page, page, MADV_GUARD_INSTALL);
}

static bool swapped(char *p, size_t len)
{
	return swap && plain(p, len) && dm_page_out(p, len);
}

/* Number of pages of this process that are merged. */
static long nr_merged(void)
{
	char text[512], *n;

	dm_read_path("/proc/self/ksm_stat", text, sizeof(text));
	n = strstr(text, "ksm_merging_pages ");
	return n ? strtol(n + strlen("ksm_merging_pages "), NULL, 10) : -1;
}

static bool merged(char *p, size_t len)
{
	double since = dm_seconds();
	char old[32];

	if (dm_read_path(KSM_RUN, old, sizeof(old)) <= 0)
		return false;
	memset(p, 0x6b, len);
	if (madvise(p, len, MADV_MERGEABLE) || dm_write_path(KSM_RUN, "1"))
		return false;
	while (nr_merged() < (long)(len / page) && dm_seconds() - since < 60)
		;
	return !dm_write_path(KSM_RUN, old) && nr_merged() >= (long)(len / page);
}

static bool pinned(char *p, size_t len)
{
	/* Of mm/gup_test.h, which is not exported. */
	struct {
		uint64_t addr, size;
		uint32_t flags;
	} request = { (uintptr_t)p, len, 1 /* to write */ };

	gup = open("/sys/kernel/debug/gup_test", O_RDWR | O_CLOEXEC);
	return plain(p, len) && gup >= 0 && !ioctl(gup, _IOW('g', 7, request), &request);
}

/* A fork that works waits until somebody has read the event of it. */
static void *monitor(void *arg)
{
	struct uffd_msg msg;

	while (read(uffd, &msg, sizeof(msg)) == sizeof(msg))
		if (msg.event == UFFD_EVENT_FORK)
			close(msg.arg.fork.ufd);
	return NULL;
}

static bool watched(char *p, size_t len)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_EVENT_FORK,
	};
	struct uffdio_register reg = {
		.range = { (unsigned long)p, len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	return plain(p, len) && uffd >= 0 && !ioctl(uffd, UFFDIO_API, &api) &&
		!ioctl(uffd, UFFDIO_REGISTER, &reg) &&
		!pthread_create(&monitor_thread, NULL, monitor, NULL);
}

enum file { NONE, MEMFD, PROGRAM };

#define RW	(PROT_READ | PROT_WRITE)

/* Neither of these merges with a neighbour, as there is a page between them. */
static const struct kind {
	const char *name;
	int prot, flags;
	enum file file;
	size_t nr;		/* of pages, */
	size_t *unit;		/* of this size */
	bool (*prepare)(char *p, size_t len);
	size_t not_looked_at;	/* units at the end of it */
} kinds[] = {
	{ "anon", RW, MAP_PRIVATE, NONE, 4, &page, plain },
	{ "thp", RW, MAP_PRIVATE, NONE, 1, &pmd, transparent },
	{ "hugetlb", RW, MAP_PRIVATE | MAP_HUGETLB, NONE, 2, &huge, half, 1 },
	{ "hugetlb-shared", RW, MAP_SHARED | MAP_HUGETLB, NONE, 2, &huge, half, 1 },
	{ "file-private", RW, MAP_PRIVATE, PROGRAM, 2, &page, plain },
	{ "dontfork", RW, MAP_PRIVATE, NONE, 2, &page, dontfork },
	{ "file-shared", PROT_READ, MAP_SHARED, MEMFD, 2, &page, untouched },
	{ "memfd-shared-writable", RW, MAP_SHARED, MEMFD, 2, &page, plain },
	{ "memfd-private", RW, MAP_PRIVATE, MEMFD, 2, &page, plain },
	{ "wipeonfork", RW, MAP_PRIVATE, NONE, 2, &page, wipeonfork },
	{ "mlocked", RW, MAP_PRIVATE, NONE, 2, &page, locked },
	{ "mempolicy", RW, MAP_PRIVATE, NONE, 2, &page, bound },
	{ "userfaultfd", RW, MAP_PRIVATE, NONE, 2, &page, watched },
	{ "zero-pages", RW, MAP_PRIVATE, NONE, 2, &page, untouched },
	{ "swapped", RW, MAP_PRIVATE, NONE, 4, &page, swapped },
	{ "ksm-merged", RW, MAP_PRIVATE, NONE, 4, &page, merged },
	{ "gup-pinned", RW, MAP_PRIVATE, NONE, 2, &page, pinned },
	{ "stack", RW, MAP_PRIVATE | MAP_GROWSDOWN, NONE, 2, &page, plain },
	{ "guard-region", RW, MAP_PRIVATE, NONE, 2, &page, guarded, 1 },
	{ "same-pmd", RW, MAP_PRIVATE, NONE, 1, &page, plain },
	/* Where there is no VMA before or behind it. */
	{ "dontfork-first" },
	{ "dontfork-last" },
};

static struct {
	char *addr;
	size_t len, looked_at;
	unsigned long long sum;
} areas[ARRAY_SIZE(kinds)];

void vk_begin(int nr_processes)
{
	char nr[32];

	swap = !dm_swap_on();
	if (dm_read_path(HUGE_POOL, old_pool, sizeof(old_pool)) <= 0)
		return;
	snprintf(nr, sizeof(nr), "%d", atoi(old_pool) + nr_processes * 2 * HUGE_VMAS);
	dm_write_path(HUGE_POOL, nr);
}

void vk_end(void)
{
	if (old_pool[0])
		dm_write_path(HUGE_POOL, old_pool);
	if (swap)
		dm_swap_off();
	swap = false;
	old_pool[0] = '\0';
	/* While it is off, it keeps the mm of a process that is no more. */
	if (dm_read_number(KSM_RUN) == 0) {
		dm_write_path(KSM_RUN, "2");
		dm_write_path(KSM_RUN, "0");
	}
}

static size_t huge_page_size(void)
{
	static char text[8192];
	const char *size;

	dm_read_path("/proc/meminfo", text, sizeof(text));
	size = strstr(text, "Hugepagesize:");
	return size ? strtoul(size + strlen("Hugepagesize:"), NULL, 10) << 10 : 0;
}

static void add(size_t kind, char *p, size_t len)
{
	areas[kind].addr = p;
	areas[kind].len = len;
	areas[kind].looked_at = len;
	if (kinds[kind].not_looked_at)
		areas[kind].looked_at -= kinds[kind].not_looked_at * *kinds[kind].unit;
	/* Looking would bring it back. */
	if (kinds[kind].prepare != swapped)
		areas[kind].sum = dm_sum(p, areas[kind].looked_at);
}

/* Whether there is such a VMA now. */
static bool map(size_t kind)
{
	const struct kind *k = &kinds[kind];
	int fd = k->file == MEMFD ? memfd : k->file == PROGRAM ? program : -1;
	size_t len, unit;
	char *p;

	if (!k->unit) {
		bool at_the_end = !strcmp(k->name, "dontfork-last");
		struct dm_layout *l = at_the_end ? &last : &first;

		if (dm_build(l, DM_DONTFORK, at_the_end ? DM_LAST : DM_FIRST))
			return false;
		add(kind, l->addr, l->len);
		return true;
	}
	unit = *k->unit;
	len = k->nr * unit;
	if (!len)
		return false;
	p = mmap(NULL, len + unit + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		 -1, 0);
	if (p == MAP_FAILED)
		return false;
	p += page;
	p += -(uintptr_t)p & (unit - 1);
	if (mmap(p, len, k->prot, k->flags | MAP_FIXED | (fd < 0 ? MAP_ANONYMOUS : 0),
		 fd, fd == memfd ? kind * 2 * page : 0) != MAP_FAILED &&
	    k->prepare(p, len)) {
		add(kind, p, len);
		return true;
	}
	munmap(p, len);
	return false;
}

const char *vk_build(char *missing, size_t size)
{
	size_t i;

	page = sysconf(_SC_PAGESIZE);
	pmd = page * (page / 8);
	huge = huge_page_size();
	memfd = memfd_create("vma_kinds", MFD_CLOEXEC);
	program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (memfd < 0 || program < 0 ||
	    ftruncate(memfd, 2 * ARRAY_SIZE(kinds) * page))
		return "no file to map";
	*missing = '\0';
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (map(i))
			continue;
		strncat(missing, " ", size - strlen(missing) - 1);
		strncat(missing, kinds[i].name, size - strlen(missing) - 1);
	}
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (areas[i].len && kinds[i].prepare == swapped)
			areas[i].sum = areas[0].sum;
	return NULL;
}

size_t vk_kind_of(unsigned long start)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (areas[i].len && start - (uintptr_t)areas[i].addr < areas[i].len)
			break;
	return i;
}

size_t vk_nr(void)
{
	return ARRAY_SIZE(kinds);
}

const char *vk_name(size_t kind)
{
	return kind < ARRAY_SIZE(kinds) ? kinds[kind].name : "(the program's)";
}

const char *vk_check(void)
{
	static char text[128];
	size_t i;

	text[0] = '\0';
	for (i = 0; i < ARRAY_SIZE(kinds) && !text[0]; i++) {
		uint64_t entry[4];
		bool out = kinds[i].prepare == swapped;

		if (!areas[i].len)
			continue;
		if (out && (!dm_pagemap(areas[i].addr, ARRAY_SIZE(entry), entry) ||
			    !DM_PAGE_SWAPPED(entry[0])))
			snprintf(text, sizeof(text), "what was swapped out is in memory");
		else if (dm_sum(areas[i].addr, areas[i].looked_at) != areas[i].sum)
			snprintf(text, sizeof(text), "memory changed: %s", kinds[i].name);
		else if (out && !dm_page_out(areas[i].addr, areas[i].len))
			snprintf(text, sizeof(text), "cannot be swapped out again");
		else if (kinds[i].prepare == merged &&
			 nr_merged() < (long)(areas[i].len / page))
			snprintf(text, sizeof(text), "merged pages are merged no more");
	}
	return text;
}
