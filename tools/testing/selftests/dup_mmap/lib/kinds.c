// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"

#include "counters.h"
#include "fork.h"
#include "io.h"
#include "kinds.h"
#include "layouts.h"
#include "maps.h"
#include "say.h"
#include "swap.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#endif

#define KSM_RUN		"/sys/kernel/mm/ksm/run"
#define HUGE_POOL	"/proc/sys/vm/nr_hugepages"
#define HUGE_KINDS	2	/* of two huge pages each */
#define LINE		64	/* bytes of content in a page */
#define RW		(PROT_READ | PROT_WRITE)

static bool swap;
static char old_pool[32];

static size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

/* 0: there are none. */
static size_t huge_page_size(void)
{
	static char text[8192];
	const char *size;

	dm_read_path("/proc/meminfo", text, sizeof(text));
	size = strstr(text, "Hugepagesize:");
	return size ? strtoul(size + strlen("Hugepagesize:"), NULL, 10) << 10 : 0;
}

static size_t thp_size(void)
{
	long size = dm_read_number(DM_HUGE_SIZE);

	return size > 0 ? size : 0;
}

static const char *failed(const char *what)
{
	return say("%s: %s", what, strerror(errno));
}

/* How a kind is made of a VMA that has its content already. */

static const char *check_huge(struct dm_layout *l)
{
	static uint64_t entry[8192];
	size_t nr = l->len / page_size(), i;

	if (nr > ARRAY_SIZE(entry) || !dm_pagemap(l->addr, nr, entry))
		return "/proc/self/pagemap can't be read";
	for (i = 0; i < nr; i++)
		if (!DM_PAGE_PRESENT(entry[i]) || DM_PAGE_FRAME(entry[i]) % nr != i)
			return "it is not one huge page";
	return NULL;
}

static const char *lock(struct dm_layout *l)
{
	return mlock(l->addr, l->len) ? failed("mlock()") : NULL;
}

static const char *bind_to_node(struct dm_layout *l)
{
	unsigned long node = 1;

	if (syscall(SYS_mbind, l->addr, l->len, MPOL_BIND, &node, 8 * sizeof(node), 0))
		return failed("mbind()");
	return NULL;
}

static const char *guard(struct dm_layout *l)
{
	return madvise(l->addr + l->looked_at, page_size(), MADV_GUARD_INSTALL) ?
		failed("madvise(MADV_GUARD_INSTALL)") : NULL;
}

static const char *page_out(struct dm_layout *l)
{
	if (!swap)
		return "no swap on zram (CONFIG_ZRAM)";
	return dm_page_out(l->addr, l->len) ? NULL : "it is not swapped out";
}

/* Number of pages of this process that are merged. */
static long nr_merged(void)
{
	char text[512], *n;

	dm_read_path("/proc/self/ksm_stat", text, sizeof(text));
	n = strstr(text, "ksm_merging_pages ");
	return n ? strtol(n + strlen("ksm_merging_pages "), NULL, 10) : -1;
}

static const char *merge(struct dm_layout *l)
{
	long nr = l->len / page_size();
	double since = dm_seconds();
	char old[32];

	if (dm_read_path(KSM_RUN, old, sizeof(old)) <= 0 || dm_write_path(KSM_RUN, "1"))
		return "no " KSM_RUN " (CONFIG_KSM)";
	while (nr_merged() < nr && dm_seconds() - since < 60)
		;
	dm_write_path(KSM_RUN, old);
	return nr_merged() < nr ? "its pages are not merged" : NULL;
}

static const char *pin(struct dm_layout *l)
{
	/* Of mm/gup_test.h, which is not exported. */
	struct {
		uint64_t addr, size;
		uint32_t flags;
	} request = { (uintptr_t)l->addr, l->len, 1 /* to write */ };

	l->fd = open("/sys/kernel/debug/gup_test", O_RDWR | O_CLOEXEC);
	if (l->fd < 0)
		return "no /sys/kernel/debug/gup_test (CONFIG_GUP_TEST)";
	return ioctl(l->fd, _IOW('g', 7, request), &request) ? failed("gup_test") : NULL;
}

/*
 * A fork that works waits until somebody has read the event of it: another process,
 * as that one gets an open file with it.
 */
static pid_t start_reader(int uffd)
{
	struct uffd_msg msg;
	pid_t pid = dm_bare_fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(uffd, &msg, sizeof(msg)) == sizeof(msg))
		if (msg.event == UFFD_EVENT_FORK)
			close(msg.arg.fork.ufd);
	syscall(SYS_exit_group, 0);
	return 0;
}

static const char *watch(struct dm_layout *l)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_EVENT_FORK,
	};
	struct uffdio_register reg = {
		.range = { (uintptr_t)l->addr, l->len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	l->fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (l->fd < 0 || ioctl(l->fd, UFFDIO_API, &api))
		return failed("userfaultfd");
	l->helper = start_reader(l->fd);
	if (l->helper < 0)
		return failed("fork()");
	return ioctl(l->fd, UFFDIO_REGISTER, &reg) ? failed("UFFDIO_REGISTER") : NULL;
}

enum unit { PAGE, THP, HUGE };
enum file { NONE, MEMFD, PROGRAM };
enum content { EACH_PAGE, EVERY_OTHER, FIRST_HALF, BUT_THE_LAST, AS_MAPPED };
enum neighbour { ALONE, DONTFORK_BEFORE, DONTFORK_BEHIND, ANON_BEFORE };

static const struct {
	const char *name;
	int prot, flags;
	size_t nr;		/* of pages, */
	enum unit unit;		/* of this size */
	enum content content;
	enum file file;
	int advice;
	const char *(*finish)(struct dm_layout *l);
	enum neighbour neighbour;
} kinds[DM_NR_KINDS] = {
	[DM_ANON] = { "anon", RW, MAP_PRIVATE, 4, PAGE, EVERY_OTHER },
	[DM_THP] = {
		"thp", RW, MAP_PRIVATE, 1, THP,
		.advice = MADV_HUGEPAGE, .finish = check_huge
	},
	/* The other half stays a reservation. */
	[DM_HUGETLB] = {
		"hugetlb", RW, MAP_PRIVATE | MAP_HUGETLB, 2, HUGE, FIRST_HALF
	},
	[DM_HUGETLB_SHARED] = {
		"hugetlb-shared", RW, MAP_SHARED | MAP_HUGETLB, 2, HUGE, FIRST_HALF
	},
	[DM_FILE_PRIVATE] = {
		"file-private", RW, MAP_PRIVATE, 4, PAGE, EVERY_OTHER, PROGRAM
	},
	[DM_FILE_SHARED] = {
		"file-shared", PROT_READ, MAP_SHARED, 2, PAGE, AS_MAPPED, MEMFD
	},
	[DM_MEMFD_SHARED] = {
		"memfd-shared-writable", RW, MAP_SHARED, 4, PAGE, EVERY_OTHER, MEMFD
	},
	[DM_MEMFD_PRIVATE] = {
		"memfd-private", RW, MAP_PRIVATE, 2, PAGE, EACH_PAGE, MEMFD
	},
	[DM_DONTFORK] = {
		"dontfork", RW, MAP_PRIVATE, 4, PAGE, EVERY_OTHER,
		.advice = MADV_DONTFORK
	},
	[DM_AFTER_DONTFORK] = {
		"after-dontfork", RW, MAP_PRIVATE, 4, PAGE, EVERY_OTHER,
		.neighbour = DONTFORK_BEFORE
	},
	[DM_BEFORE_DONTFORK] = {
		"before-dontfork", RW, MAP_PRIVATE, 4, PAGE, EVERY_OTHER,
		.neighbour = DONTFORK_BEHIND
	},
	[DM_WIPEONFORK] = {
		"wipeonfork", RW, MAP_PRIVATE, 4, PAGE, EVERY_OTHER,
		.advice = MADV_WIPEONFORK
	},
	[DM_MLOCKED] = { "mlocked", RW, MAP_PRIVATE, 2, .finish = lock },
	[DM_MEMPOLICY] = { "mempolicy", RW, MAP_PRIVATE, 2, .finish = bind_to_node },
	[DM_USERFAULTFD] = { "userfaultfd", RW, MAP_PRIVATE, 2, .finish = watch },
	[DM_ZERO_PAGES] = { "zero-pages", RW, MAP_PRIVATE, 2, PAGE, AS_MAPPED },
	[DM_SWAPPED] = { "swapped", RW, MAP_PRIVATE, 4, .finish = page_out },
	[DM_KSM_MERGED] = {
		"ksm-merged", RW, MAP_PRIVATE, 4,
		.advice = MADV_MERGEABLE, .finish = merge
	},
	[DM_GUP_PINNED] = { "gup-pinned", RW, MAP_PRIVATE, 2, .finish = pin },
	[DM_STACK] = { "stack", RW, MAP_PRIVATE | MAP_GROWSDOWN, 2 },
	[DM_GUARD_REGION] = {
		"guard-region", RW, MAP_PRIVATE, 2, PAGE, BUT_THE_LAST, .finish = guard
	},
	[DM_SAME_PMD] = {
		"same-pmd", RW, MAP_PRIVATE, 1, .neighbour = ANON_BEFORE
	},
};

const char *dm_kind_name(enum dm_kind kind)
{
	return kinds[kind].name;
}

static size_t unit_of(enum dm_kind kind)
{
	switch (kinds[kind].unit) {
	case THP:
		return thp_size();
	case HUGE:
		return huge_page_size();
	default:
		return page_size();
	}
}

size_t dm_kind_len(enum dm_kind kind)
{
	return kinds[kind].nr * unit_of(kind);
}

size_t dm_kind_align(enum dm_kind kind)
{
	/* A few pages from an address like that are in one page table. */
	return kinds[kind].unit == PAGE ? 16 * page_size() : unit_of(kind);
}

size_t dm_kind_before(enum dm_kind kind)
{
	switch (kinds[kind].neighbour) {
	case DONTFORK_BEFORE:
	case ANON_BEFORE:
		return 2 * page_size();
	default:
		return 0;
	}
}

size_t dm_kind_behind(enum dm_kind kind)
{
	return kinds[kind].neighbour == DONTFORK_BEHIND ? 2 * page_size() : 0;
}

void dm_kinds_begin(int nr_each)
{
	char nr[32];

	swap = !dm_swap_on();
	if (dm_read_path(HUGE_POOL, old_pool, sizeof(old_pool)) <= 0)
		return;
	snprintf(nr, sizeof(nr), "%d", atoi(old_pool) + nr_each * 2 * HUGE_KINDS);
	dm_write_path(HUGE_POOL, nr);
}

void dm_kinds_end(void)
{
	if (old_pool[0])
		dm_write_path(HUGE_POOL, old_pool);
	if (swap)
		dm_swap_off();
	swap = false;
	old_pool[0] = '\0';
	dm_ksm_let_go();
}

void dm_ksm_let_go(void)
{
	if (dm_read_number(KSM_RUN) == 0) {
		dm_write_path(KSM_RUN, "2");
		dm_write_path(KSM_RUN, "0");
	}
}

/* All of it, or, if that is much, a line of each page: fork() deals in pages. */
static unsigned long long sum(const struct dm_layout *l)
{
	unsigned long long h = 0xcbf29ce484222325ull;	/* FNV-1a, but for the words */
	size_t page = page_size(), at, i;
	size_t part = l->looked_at <= 16 * page ? page : LINE;

	for (at = 0; at < l->looked_at; at += page)
		for (i = 0; i < part; i += sizeof(uint64_t))
			h = (h ^ *(uint64_t *)(l->addr + at + i)) * 0x100000001b3ull;
	return h;
}

static void fill(struct dm_layout *l)
{
	size_t step = page_size(), at;

	switch (kinds[l->kind].content) {
	case AS_MAPPED:
		return;
	case EVERY_OTHER:
		step *= 2;
		break;
	case FIRST_HALF:
		l->looked_at = l->len / 2;
		break;
	case BUT_THE_LAST:
		l->looked_at = l->len - page_size();
		break;
	default:
		break;
	}
	for (at = 0; at < l->looked_at; at += step)
		memset(l->addr + at, 0x5a + l->kind, LINE);
}

static const char *make_neighbour(struct dm_layout *l)
{
	size_t len = dm_kind_before(l->kind) + dm_kind_behind(l->kind);
	char *p = l->addr + (dm_kind_behind(l->kind) ? l->len : -len);

	if (!len)
		return NULL;
	if (mmap(p, len, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return failed("mmap() of its neighbour");
	memset(p, 0x33, LINE);
	/* Or it would be one VMA with it. */
	if (kinds[l->kind].neighbour == ANON_BEFORE ? mprotect(p, len, PROT_READ) :
						      madvise(p, len, MADV_DONTFORK))
		return failed("its neighbour");
	return NULL;
}

const char *dm_make_kind(struct dm_layout *l)
{
	const char *why, *(*finish)(struct dm_layout *) = kinds[l->kind].finish;
	enum file file = kinds[l->kind].file;
	int advice = kinds[l->kind].advice;
	int program = -1, fd = -1, flags = kinds[l->kind].flags | MAP_FIXED;
	void *p;

	if (file == MEMFD) {
		fd = memfd_create("dup_mmap", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		l->fd = fd;
		if (fd < 0 || ftruncate(fd, l->len))
			return failed("memfd");
	} else if (file == PROGRAM) {
		program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
		fd = program;
		if (fd < 0)
			return failed("/proc/self/exe");
	} else {
		flags |= MAP_ANONYMOUS;
	}
	p = mmap(l->addr, l->len, kinds[l->kind].prot, flags, fd, 0);
	if (program >= 0)
		close(program);
	if (p == MAP_FAILED)
		return failed("mmap()");
	if (advice && madvise(l->addr, l->len, advice))
		return failed("madvise()");
	l->looked_at = l->len;
	fill(l);
	why = make_neighbour(l);
	if (why)
		return why;
	/* Once it is swapped out, looking at it would bring it back. */
	l->sum = sum(l);
	return finish ? finish(l) : NULL;
}

void dm_unmake_kind(struct dm_layout *l)
{
	if (l->helper > 0) {
		kill(l->helper, SIGKILL);
		waitpid(l->helper, NULL, 0);
	}
	l->helper = 0;
	/* The file of memory is looked at when it is mapped no more. */
	if (l->fd >= 0 && kinds[l->kind].file != MEMFD) {
		close(l->fd);
		l->fd = -1;
	}
}

static bool is_out(const struct dm_layout *l)
{
	uint64_t entry[4];
	size_t nr = l->len / page_size(), i;

	if (nr > ARRAY_SIZE(entry) || !dm_pagemap(l->addr, nr, entry))
		return false;
	for (i = 0; i < nr && DM_PAGE_SWAPPED(entry[i]); i++)
		;
	return i == nr;
}

const char *dm_check_kind(const struct dm_layout *l)
{
	if (l->kind == DM_SWAPPED)
		return is_out(l) ? "" : "what was swapped out is in memory";
	if (sum(l) != l->sum)
		return "the memory of the parent changed";
	if (l->kind == DM_KSM_MERGED && nr_merged() < (long)(l->len / page_size()))
		return "merged pages are merged no more";
	return "";
}

const char *dm_check_kind_in_child(const struct dm_layout *l)
{
	unsigned char vec[16];
	size_t i;

	switch (l->kind) {
	case DM_DONTFORK:
		if (mincore(l->addr, l->len, vec) != -1 || errno != ENOMEM)
			return "it has what it should not get";
		return "";
	case DM_WIPEONFORK:
		for (i = 0; i < l->len; i++)
			if (l->addr[i])
				return "it finds what should be wiped";
		return "";
	default:
		return sum(l) == l->sum ? "" : "it finds wrong memory";
	}
}
