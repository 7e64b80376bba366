// SPDX-License-Identifier: GPL-2.0
/*
 * Large folios below the size of a PMD, mapped whole: on arm64 by contiguous
 * PTEs, which fork() copies and a failed fork unmaps a block at a time. And
 * hugetlb pages, whose page tables fork() copies in a way of its own.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "dup_mmap.h"
#include "harness.h"

#define THP	"/sys/kernel/mm/transparent_hugepage/"
#define HUGETLB	"/sys/kernel/mm/hugepages/"
#define NR	8

FIXTURE(folio) {
	struct dm_saved saved;
	struct dm_alloc alloc;
	char knob[128], old[64];	/* what setup wrote to, and its content */
	char *map, *area;		/* all, and the NR folios in it */
	size_t map_len, size;
	long nr_free, nr_reserved;	/* hugetlb pages; -1 for the others */
};

FIXTURE_VARIANT(folio) {
	bool hugetlb;
	const char *recovery;
};

FIXTURE_VARIANT_ADD(folio, thp_rust) { false, "rust" };
FIXTURE_VARIANT_ADD(folio, thp_upstream) { false, "upstream" };
FIXTURE_VARIANT_ADD(folio, hugetlb_rust) { true, "rust" };
FIXTURE_VARIANT_ADD(folio, hugetlb_upstream) { true, "upstream" };

/* What arm64 maps by one block of contiguous PTEs; on others it is as good. */
static size_t block_size(void)
{
	return sysconf(_SC_PAGESIZE) == 4096 ? 65536 : 2097152;
}

/*
 * But for those of arm64 with pages of 4 kB that are contiguous PTEs:
 * copy_hugetlb_page_range() (7.3) may take the page table they are in for a
 * shared one, ptdesc_pmd_is_shared() of something that is no PMD table, and then
 * leaves the child without them. With pages of 64 kB none are shared.
 */
static size_t smallest_hugetlb(void)
{
	unsigned long kb, min = 0;
	struct dirent *e;
	DIR *d = opendir(HUGETLB);

	while (d && (e = readdir(d)))
		if (sscanf(e->d_name, "hugepages-%lukB", &kb) == 1 &&
		    kb >= 2048 && (!min || kb < min))
			min = kb;
	if (d)
		closedir(d);
	return min << 10;
}

/* A counter of the pool the pages are from; -1 if they are from none. */
static long pool(FIXTURE_DATA(folio) * self, const char *counter)
{
	char path[128];

	snprintf(path, sizeof(path), "%.*s/%s_hugepages",
		 (int)(strrchr(self->knob, '/') - self->knob), self->knob, counter);
	return dm_read_number(path);
}

/* Makes the knob give out folios. Returns NULL, or why it can't. */
static const char *turn_knob(FIXTURE_DATA(folio) * self, bool hugetlb)
{
	char text[64], *active;

	if (dm_read_path(self->knob, text, sizeof(text)) <= 0)
		return "no such knob";
	active = dm_bracketed(text);
	snprintf(self->old, sizeof(self->old), "%s", active ? active : text);
	if (!hugetlb)
		return dm_write_path(self->knob, "always") ? "write" : NULL;
	/* Those of the area, and one for each page that a child writes to. */
	snprintf(text, sizeof(text), "%d", atoi(self->old) + 2 * NR);
	if (dm_write_path(self->knob, text))
		return "write";
	return pool(self, "free") < 2 * NR ? "not enough memory" : NULL;
}

/* Also when setup ends early: then the harness tears nothing down. */
static void restore(FIXTURE_DATA(folio) * self)
{
	dm_alloc_end(&self->alloc);
	dm_restore(&self->saved);
	if (self->old[0])
		dm_write_path(self->knob, self->old);
}

FIXTURE_SETUP(folio)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
	const char *why;
	size_t i;

	self->size = variant->hugetlb ? smallest_hugetlb() : block_size();
	if (!self->size)
		SKIP(return, "no " HUGETLB "* of 2 MB or more");
	if (variant->hugetlb) {
		flags |= MAP_HUGETLB | __builtin_ctzl(self->size) << MAP_HUGE_SHIFT;
		snprintf(self->knob, sizeof(self->knob),
			 HUGETLB "hugepages-%zukB/nr_hugepages", self->size >> 10);
	} else {
		snprintf(self->knob, sizeof(self->knob),
			 THP "hugepages-%zukB/enabled", self->size >> 10);
	}

	/* Room to align, and a VMA of another kind on either side. */
	self->map_len = (NR + 3) * self->size;
	self->map = mmap(NULL, self->map_len, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->map);
	self->area = (char *)(((uintptr_t)self->map + 2 * self->size - 1) &
			      -self->size);

	why = turn_knob(self, variant->hugetlb);
	if (!why && mmap(self->area, NR * self->size, PROT_READ | PROT_WRITE, flags,
			 -1, 0) != self->area)
		why = "mmap";
	if (why) {
		restore(self);
		SKIP(return, "%s: %s", self->knob, why);
	}
	for (i = 0; i < NR; i++)
		memset(self->area + i * self->size, i + 1, 64);
	self->nr_free = pool(self, "free");
	self->nr_reserved = pool(self, "resv");
	dm_save(&self->saved);
	why = dm_use_recovery(variant->recovery);
	if (*why)
		restore(self);
	ASSERT_STREQ("", why);
}

FIXTURE_TEARDOWN_PARENT(folio)
{
	restore(self);
}

static uint64_t times_mapped(uint64_t frame)
{
	uint64_t count = 0;
	int fd = open("/proc/kpagecount", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || pread(fd, &count, sizeof(count), frame * sizeof(count)) < 0)
		count = 0;
	if (fd >= 0)
		close(fd);
	return count;
}

/*
 * The folios are whole, where they were mapped, mapped by this process only
 * and have their content; and their pool has as many left as before.
 */
static const char *check(void *arg)
{
	FIXTURE_DATA(folio) * self = arg;
	static char text[128];
	static uint64_t entry[NR * 2097152 / 4096];
	size_t page = sysconf(_SC_PAGESIZE), pages = self->size / page, i, n;
	uint64_t count;
	unsigned char c;

	if (!dm_pagemap(self->area, NR * pages, entry))
		return "/proc/self/pagemap can't be read";
	for (i = 0; i < NR * pages; i++) {
		if (!DM_PAGE_PRESENT(entry[i]))
			return "a page of the parent is not mapped any more";
		n = i % pages;
		if (n ? entry[i] != entry[i - 1] + 1 :
			DM_PAGE_FRAME(entry[i]) % pages)
			return "a folio is not mapped as one";
		if (n)
			continue;
		count = times_mapped(DM_PAGE_FRAME(entry[i]));
		if (count != 1) {
			snprintf(text, sizeof(text), "a page is mapped %llu times",
				 (unsigned long long)count);
			return text;
		}
	}
	if (pool(self, "free") != self->nr_free ||
	    pool(self, "resv") != self->nr_reserved)
		return "hugetlb pages or reservations are not back";
	for (i = 0; i < NR; i++)
		for (n = 0; n < 128; n++) {
			c = self->area[i * self->size + n];
			if (c != (n < 64 ? i + 1 : 0))
				return "the memory of the parent changed";
		}
	return "";
}

static int child_writes(void *arg)
{
	FIXTURE_DATA(folio) * self = arg;
	size_t i;

	for (i = 0; i < NR; i++)
		if (self->area[i * self->size] != (char)(i + 1))
			return 1;
	/* Breaks the first block up. */
	self->area[0] = 0x7f;
	return self->area[1] != 1;
}

TEST_F_TIMEOUT(folio, injected, 120)
{
	ASSERT_STREQ("", check(self));
	EXPECT_STREQ("", dm_shoot_around(self->area, variant->recovery, check, self));
	EXPECT_EQ(0, dm_fork_run(child_writes, self));
	EXPECT_STREQ("", check(self));
	EXPECT_EQ(0, munmap(self->map, self->map_len));
}

/* Copying stops in the middle of a VMA: there are page tables to free. */
TEST_F_TIMEOUT(folio, allocation_fails_while_copying, 120)
{
	const char *why;
	int failed;

	ASSERT_STREQ("", check(self));
	why = dm_alloc_begin(&self->alloc, "copy_page_range");
	if (why)
		SKIP(return, "%s", why);
	EXPECT_STREQ("", dm_fail_allocs(DM_COPY_PAGE_RANGE, variant->recovery,
					check, self, 3, &failed));
	/* At least a table of each level. */
	EXPECT_GE(failed, 3);
	dm_alloc_end(&self->alloc);
	EXPECT_EQ(0, dm_fork_run(child_writes, self));
	EXPECT_STREQ("", check(self));
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
