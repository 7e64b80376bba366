// SPDX-License-Identifier: GPL-2.0
#include <sys/mman.h>

#include "kselftest.h"

#include "tally.h"

/* Shared by all tests. */
static struct {
	bool is_counted;
	struct dm_counters before;
} *program;

void dm_skip_unless_countable(struct dm_cgroup *cg)
{
	const char *why = dm_cgroup_enter(cg);

	if (!why)
		why = dm_uncountable();
	if (!why) {
		program = mmap(NULL, sizeof(*program), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		why = program == MAP_FAILED ? "no memory" : NULL;
	}
	if (!why)
		return;
	dm_cgroup_leave(cg);
	ksft_print_header();
	ksft_exit_skip("%s\n", why);
}

void dm_count_program(void)
{
	dm_get_counters(&program->before);
	program->is_counted = true;
}

bool dm_program_is_counted(void)
{
	return program->is_counted;
}

const char *dm_check_program(void)
{
	return dm_check_counters(&program->before, DM_PATIENT);
}

void dm_count_test(struct dm_counters *before)
{
	if (!program->is_counted)
		dm_get_counters(before);
}

const char *dm_check_test(const struct dm_counters *before)
{
	return program->is_counted ? "" : dm_check_counters(before, DM_PATIENT);
}
