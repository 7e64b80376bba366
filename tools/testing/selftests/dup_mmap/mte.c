// SPDX-License-Identifier: GPL-2.0
/*
 * arm64: memory with tags (MTE). A failed fork must leave the parent's tags
 * alone, in memory and in swap, and a fork that works must copy them.
 */
#include <asm/hwcap.h>
#include <asm/mman.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "dup_mmap.h"
#include "harness.h"

#define GRANULE	16ul
#define NR	8		/* pages */

FIXTURE(mte) {
	struct dm_saved saved;
	struct dm_alloc alloc;
	char *map, *area;	/* with and without a page on either side */
	size_t len;
	bool swap;
};

FIXTURE_VARIANT(mte) {
	const char *recovery;
};

FIXTURE_VARIANT_ADD(mte, rust) { "rust" };
FIXTURE_VARIANT_ADD(mte, upstream) { "upstream" };

/* p with the tag that its memory is to have; neighbours differ. */
static char *tagged(char *p)
{
	uintptr_t tag = 1 + (uintptr_t)p / GRANULE * 7 % 15;

	return (char *)((uintptr_t)p | tag << 56);
}

static void set_tag(char *p)
{
	asm volatile(".arch_extension memtag\n\tstg %0, [%0]" : : "r" (p) : "memory");
}

static char *with_tag_of_memory(char *p)
{
	asm volatile(".arch_extension memtag\n\tldg %0, [%0]" : "+r" (p) : : "memory");
	return p;
}

FIXTURE_SETUP(mte)
{
	size_t page = sysconf(_SC_PAGESIZE), i;
	char *p;

	if (!(getauxval(AT_HWCAP2) & HWCAP2_MTE))
		SKIP(return, "the CPU has no MTE");
	/* A wrong tag is a SIGSEGV at once. */
	ASSERT_EQ(0, prctl(PR_SET_TAGGED_ADDR_CTRL,
			   PR_TAGGED_ADDR_ENABLE | PR_MTE_TCF_SYNC |
			   0xfffeul << PR_MTE_TAG_SHIFT, 0, 0, 0));
	self->len = NR * page;
	self->map = mmap(NULL, self->len + 2 * page, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->map);
	self->area = self->map + page;
	ASSERT_EQ(0, mprotect(self->area, self->len,
			      PROT_READ | PROT_WRITE | PROT_MTE));
	for (i = 0; i < self->len; i += GRANULE) {
		p = tagged(self->area + i);
		set_tag(p);
		memset(p, i / page + 1, GRANULE);
	}
	/* Last: nothing is torn down when setup ends early. */
	dm_save(&self->saved);
	ASSERT_STREQ("", dm_use_recovery(variant->recovery));
}

FIXTURE_TEARDOWN_PARENT(mte)
{
	dm_alloc_end(&self->alloc);
	dm_restore(&self->saved);
	if (self->swap)
		dm_swap_off();
}

static const char *check(void *arg)
{
	FIXTURE_DATA(mte) * self = arg;
	size_t page = sysconf(_SC_PAGESIZE), i;
	char *p;

	for (i = 0; i < self->len; i += GRANULE) {
		p = tagged(self->area + i);
		if (with_tag_of_memory(self->area + i) != p)
			return "a tag changed";
		/* Through the tag: a wrong one does not get past this. */
		if (p[0] != (char)(i / page + 1) || p[GRANULE - 1] != p[0])
			return "the memory changed";
	}
	return "";
}

/* Writing makes the child's own copy of a page, tags and all. */
static int child_writes(void *arg)
{
	FIXTURE_DATA(mte) * self = arg;
	char *p = tagged(self->area);

	if (*check(self))
		return 1;
	/* The same again, and not to be optimised away. */
	__atomic_store_n(p, *p, __ATOMIC_RELAXED);
	return *check(self) ? 2 : 0;
}

TEST_F_TIMEOUT(mte, injected, 120)
{
	EXPECT_STREQ("", dm_shoot_around(self->area, variant->recovery, check, self));
	EXPECT_EQ(0, dm_fork_run(child_writes, self));
	EXPECT_EQ(0, munmap(self->map, self->len + 2 * sysconf(_SC_PAGESIZE)));
}

TEST_F_TIMEOUT(mte, allocation_fails_while_copying, 120)
{
	const char *why;
	int failed;

	why = dm_alloc_begin(&self->alloc, "copy_page_range");
	if (why)
		SKIP(return, "%s", why);
	EXPECT_STREQ("", dm_fail_allocs(DM_COPY_PAGE_RANGE, variant->recovery,
					check, self, 3, &failed));
	EXPECT_GE(failed, 3);
	dm_alloc_end(&self->alloc);
	EXPECT_EQ(0, dm_fork_run(child_writes, self));
}

static bool in_swap(FIXTURE_DATA(mte) * self)
{
	uint64_t entry[NR];
	int i;

	if (!dm_pagemap(self->area, NR, entry))
		return false;
	for (i = 0; i < NR; i++)
		if (!DM_PAGE_SWAPPED(entry[i]))
			return false;
	return true;
}

static const char *check_nothing(void *arg)
{
	return "";
}

TEST_F_TIMEOUT(mte, tags_in_swap, 120)
{
	const char *why;

	why = dm_swap_on();
	if (why)
		SKIP(return, "%s", why);
	self->swap = true;
	ASSERT_TRUE(dm_page_out(self->area, self->len));
	/* Looking at the memory would bring it back. */
	EXPECT_STREQ("", dm_shoot_around(self->area, variant->recovery,
					 check_nothing, self));
	/* It still is. */
	ASSERT_TRUE(in_swap(self));
	EXPECT_EQ(0, dm_fork_run(child_writes, self));
	EXPECT_STREQ("", check(self));
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
