// SPDX-License-Identifier: GPL-2.0
/*
 * Each allocation fails that the module makes when it is loaded, one after the other. It
 * is not loaded then, and leaves nothing: no file, and a kernel that loads it the next
 * time. What it can do without, it does without. On an emulated machine the short form takes
 * every tenth one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dup_mmap.h"

#define NR_MOST		2000
#define SHORT_STRIDE	10

static struct dm_alloc alloc;
static struct dm_cgroup cgroup;
static int nr_failed, nr_survived;

static const char *is_not_there(void)
{
	if (!access("/sys/module/" DM_MODULE, F_OK))
		return "it is still among the modules";
	return dm_loaded() ? "its files are still there" : "";
}

/* Until a load has no such allocation any more. "" or what is wrong. */
static const char *fail_each(void)
{
	unsigned long taint = dm_taint();
	static char said[256];
	const char *why = "";
	int nth, err, left;

	for (nth = 1; nth < NR_MOST && !*why; nth += dm_in_full() ? 1 : SHORT_STRIDE) {
		if (dm_set_nth(nth))
			return "fail-nth cannot be written";
		err = dm_insert();
		left = dm_get_nth();
		dm_set_nth(0);
		if (!err) {
			err = dm_unload();
			if (err || left) {
				snprintf(said, sizeof(said), "unloading: %s", strerror(err));
				return err ? said : "";
			}
			nr_survived++;
		} else {
			nr_failed++;
			if (left || err != ENOMEM)
				why = left ? "it fails, and no allocation did" : strerror(err);
		}
		if (!*why)
			why = is_not_there();
		if (!*why)
			why = dm_check_taint(taint);
	}
	snprintf(said, sizeof(said), "allocation %d: %s", nth, *why ? why : "and there are more");
	return said;
}

int main(void)
{
	struct dm_counters before;
	const char *why;
	int err = 0;
	pid_t pid;

	dm_skip_unless_available();
	ksft_print_header();
	dm_skip_unless_countable(&cgroup);
	/* Its own part of loading it: not what the kernel makes to read it. */
	why = *dm_find_module() ? dm_alloc_begin(&alloc, "do_init_module") : "no " DM_MODULE ".ko";
	if (why) {
		dm_alloc_end(&alloc);
		dm_cgroup_leave(&cgroup);
		ksft_exit_skip("%s\n", why);
	}
	ksft_set_plan(4);
	dm_get_counters(&before);
	why = dm_unload() ? "it cannot be unloaded" : fail_each();
	if (*why)
		ksft_print_msg("%s\n", why);
	ksft_print_msg("%d loads failed, and %d did without the allocation\n", nr_failed,
		       nr_survived);
	ksft_test_result(!*why, "a load that an allocation fails leaves nothing\n");
	ksft_test_result(nr_failed, "some loads fail\n");
	dm_alloc_end(&alloc);
	pid = dm_load() ? dm_fork(&err) : -1;
	if (pid > 0)
		waitpid(pid, NULL, 0);
	ksft_test_result(pid > 0, "then it can be loaded, and forks work\n");
	why = dm_check_counters(&before, DM_PATIENT);
	if (*why)
		ksft_print_msg("%s\n", why);
	ksft_test_result(!*why, "nothing is lost\n");
	dm_cgroup_leave(&cgroup);
	ksft_finished();
}
