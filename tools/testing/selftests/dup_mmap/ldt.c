// SPDX-License-Identifier: GPL-2.0
/*
 * x86: a process with a local descriptor table. Copying it is the last step of
 * dup_mmap(), and the only way in which arch_dup_mmap() can really fail: every
 * VMA has been copied by then.
 */
#include <asm/ldt.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dup_mmap.h"
#include "harness.h"

FIXTURE(ldt) {
	struct dm_saved saved;
	struct dm_alloc alloc;
	int entry;		/* the one that is set */
	unsigned char table[LDT_ENTRIES * LDT_ENTRY_SIZE];
	int len;
};

FIXTURE_VARIANT(ldt) {
	const char *recovery;
	int entry;
};

/* The table fits in a page, or needs vmalloc(). */
FIXTURE_VARIANT_ADD(ldt, small_rust) { "rust", 0 };
FIXTURE_VARIANT_ADD(ldt, small_upstream) { "upstream", 0 };
FIXTURE_VARIANT_ADD(ldt, large_rust) { "rust", LDT_ENTRIES - 1 };
FIXTURE_VARIANT_ADD(ldt, large_upstream) { "upstream", LDT_ENTRIES - 1 };

static int get_ldt(unsigned char *table)
{
	return syscall(SYS_modify_ldt, 0, table, LDT_ENTRIES * LDT_ENTRY_SIZE);
}

FIXTURE_SETUP(ldt)
{
	struct user_desc desc = {
		.entry_number = variant->entry,
		.base_addr = 0x1000,
		.limit = 0xfff,
		.seg_32bit = 1,
	};

	if (syscall(SYS_modify_ldt, 0x11, &desc, sizeof(desc)))
		SKIP(return, "modify_ldt: %s (CONFIG_MODIFY_LDT_SYSCALL)",
		     strerror(errno));
	self->len = get_ldt(self->table);
	ASSERT_GE(self->len, (variant->entry + 1) * LDT_ENTRY_SIZE);
	/* Last: nothing is torn down when setup ends early. */
	dm_save(&self->saved);
	ASSERT_STREQ("", dm_use_recovery(variant->recovery));
}

FIXTURE_TEARDOWN_PARENT(ldt)
{
	dm_alloc_end(&self->alloc);
	dm_restore(&self->saved);
}

static const char *check(void *arg)
{
	FIXTURE_DATA(ldt) * self = arg;
	static unsigned char table[LDT_ENTRIES * LDT_ENTRY_SIZE];

	if (get_ldt(table) != self->len)
		return "the LDT has another size";
	return memcmp(table, self->table, self->len) ? "the LDT changed" : "";
}

static int child_has_it(void *arg)
{
	return !!*check(arg);
}

TEST_F_TIMEOUT(ldt, allocation_fails, 120)
{
	const char *why;
	int failed;

	why = dm_alloc_begin(&self->alloc, "ldt_dup_context");
	if (why)
		SKIP(return, "%s", why);
	EXPECT_STREQ("", dm_fail_allocs(DM_ARCH_DUP_MMAP, variant->recovery, check,
					self, 2, &failed));
	/* The structure and the table. */
	EXPECT_GE(failed, 2);
	dm_alloc_end(&self->alloc);
	EXPECT_EQ(0, dm_fork_run(child_has_it, self));
}

TEST_F(ldt, injected)
{
	static struct dm_series series;
	struct dm_record rec;

	ASSERT_STREQ("", dm_begin_series(&series, variant->recovery));
	EXPECT_STREQ("", dm_shoot(&series, DM_ARCH_DUP_MMAP, -1, 0, &rec));
	dm_end_series();
	EXPECT_STREQ("", check(self));
	EXPECT_EQ(0, dm_fork_run(child_has_it, self));
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
