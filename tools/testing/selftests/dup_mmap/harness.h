/* SPDX-License-Identifier: GPL-2.0 */
/* kselftest's harness, for a machine that is emulated beside others. */
#ifndef DM_HARNESS_H
#define DM_HARNESS_H

#include "kselftest_harness.h"
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

#endif /* DM_HARNESS_H */
