// SPDX-License-Identifier: GPL-2.0
/* Failures that nobody injects: the same recovery, and the record says so. */
#include "dup_mmap.h"
#include "kselftest_harness.h"

#define OVERCOMMIT_MEMORY	"/proc/sys/vm/overcommit_memory"
#define OVERCOMMIT_KBYTES	"/proc/sys/vm/overcommit_kbytes"
#define OVERCOMMIT_RATIO	"/proc/sys/vm/overcommit_ratio"

#define LARGE			(256ul << 20)

FIXTURE(natural) {
	char recovery[16];
	long mode, kbytes, ratio;
};

FIXTURE_VARIANT(natural) {
	const char *recovery;
};

FIXTURE_VARIANT_ADD(natural, rust) { "rust" };
FIXTURE_VARIANT_ADD(natural, upstream) { "upstream" };

static int write_number(const char *path, long v)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "%ld", v);
	return dm_write_path(path, buf);
}

FIXTURE_SETUP(natural)
{
	self->mode = dm_read_number(OVERCOMMIT_MEMORY);
	self->kbytes = dm_read_number(OVERCOMMIT_KBYTES);
	self->ratio = dm_read_number(OVERCOMMIT_RATIO);
	if (self->mode < 0 || self->kbytes < 0 || self->ratio < 0)
		SKIP(return, "no " OVERCOMMIT_MEMORY " (CONFIG_SYSCTL)");
	dm_reset();
	snprintf(self->recovery, sizeof(self->recovery), "%s", dm_recovery());
	ASSERT_STREQ("", dm_use_recovery(variant->recovery));
}

FIXTURE_TEARDOWN_PARENT(natural)
{
	write_number(OVERCOMMIT_MEMORY, self->mode);
	/* Writing one sets the other to 0. */
	if (self->kbytes)
		write_number(OVERCOMMIT_KBYTES, self->kbytes);
	else
		write_number(OVERCOMMIT_RATIO, self->ratio);
	dm_reset();
	if (self->recovery[0])
		dm_use_recovery(self->recovery);
}

/*
 * Strict overcommit with room for everything but a second copy of one large
 * VMA: __vm_enough_memory() refuses just that one.
 */
TEST_F(natural, overcommit)
{
	static struct dm_maps before, after;
	struct dm_stats a, b;
	struct dm_expect want;
	struct dm_record rec;
	int v, err, try;
	long committed = 1;
	char *large;
	pid_t pid;

	large = mmap(NULL, LARGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (large == MAP_FAILED)
		SKIP(return, "mmap of %lu MB: %s", LARGE >> 20, strerror(errno));
	large[0] = 1;

	ASSERT_STREQ("", dm_get_maps_and_flags(&before));
	for (v = 0; v < before.nr; v++)
		if (before.vma[v].start <= (unsigned long)large &&
		    before.vma[v].end >= (unsigned long)large + LARGE)
			break;
	ASSERT_LT(v, before.nr);
	dm_model(&before, DM_VM_ENOUGH_MEMORY, v, 0, &want);
	ASSERT_TRUE(want.fails);

	/* Half of it is more than all the others, and more than the reserves. */
	ASSERT_EQ(0, write_number(OVERCOMMIT_KBYTES,
				  dm_committed_as() + (long)(LARGE >> 11)));
	ASSERT_EQ(0, write_number(OVERCOMMIT_MEMORY, 2));

	for (try = 0; try < 4 && committed; try++) {
		ASSERT_STREQ("", dm_get_stats(&a));
		committed = dm_committed_as();
		pid = dm_fork(&err);
		committed = dm_committed_as() - committed;
		if (pid > 0)
			waitpid(pid, NULL, 0);
		ASSERT_EQ(-1, pid);
		ASSERT_EQ(ENOMEM, err);
		ASSERT_STREQ("", dm_get_stats(&b));
	}
	ASSERT_EQ(0, write_number(OVERCOMMIT_MEMORY, self->mode));
	EXPECT_EQ(0, committed);

	EXPECT_EQ(a.failed + 1, b.failed);
	EXPECT_EQ(a.injected, b.injected);
	ASSERT_STREQ("", dm_get_record(&rec));
	ASSERT_STREQ("", dm_compare(&before, &want, DM_VM_ENOUGH_MEMORY,
				    variant->recovery, &rec));
	EXPECT_EQ('n', rec.injected);
	EXPECT_EQ(getpid(), rec.pid);
	ASSERT_STREQ("", dm_get_maps(&after));
	EXPECT_STREQ(before.text, after.text);

	pid = dm_fork(&err);
	EXPECT_GT(pid, 0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	munmap(large, LARGE);
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
