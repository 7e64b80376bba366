/* SPDX-License-Identifier: GPL-2.0 */
/* kselftest's harness, for a machine that is emulated beside others. */
#ifndef DM_HARNESS_H
#define DM_HARNESS_H

#include "kselftest_harness.h"
#include "dup_mmap.h"
#include "lib/settings.h"

/* Seconds. A limit is there to end what hangs, not what is slow. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 300

/*
 * All tests, or those that the arguments name. In the short form on an emulated machine
 * those of all variants but these.
 */
static inline int run_but(const char * const *variants, int nr, int argc, char **argv)
{
	char *args[1 + 2 * nr + 1];
	int i, n = 0;

	if (argc > 1 || dm_in_full())
		return test_harness_run(argc, argv);
	args[n++] = argv[0];
	for (i = 0; i < nr; i++) {
		args[n++] = "-V";
		args[n++] = (char *)variants[i];
	}
	args[n] = NULL;
	return test_harness_run(n, args);
}

/* The last test of a program whose first one is dm_count_program(). */
static inline void check_program(struct __test_metadata *_metadata)
{
	if (!dm_program_is_counted())
		SKIP(return, "nothing was counted before");
	EXPECT_STREQ("", dm_check_program());
}

/* main() of a program that has that test. */
static inline int run_counted(struct dm_cgroup *cgroup, int (*run)(int argc, char **argv),
			      int argc, char **argv)
{
	int ret;

	dm_skip_unless_available();
	dm_skip_unless_countable(cgroup);
	ret = run(argc, argv);
	dm_cgroup_leave(cgroup);
	return ret;
}

#endif /* DM_HARNESS_H */
