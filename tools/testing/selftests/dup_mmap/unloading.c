// SPDX-License-Identifier: GPL-2.0
/*
 * Unloading the module while a fork is inside of its recovery, held there for as long
 * as it takes (lib/hold.h); and what forks do when the module has gone.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dup_mmap.h"

static struct dm_alloc alloc;
static struct dm_held held;

/* Of a VMA that is none of the last, so that the parent's are in the child's tree. */
static const char *prepare(void *arg, struct dm_place *place)
{
	place->fail = &held;
	return "";
}

/*
 * Whether unloading waits: it is asleep until the fork is over, and nowhere else
 * than where it is to be. "" or what is wrong.
 */
static const char *wait_for_held(const char *recovery)
{
	struct dm_how how = {
		.point = DM_VM_AREA_DUP,
		.prepare = prepare,
		.unjudged = true,
	};
	static struct dm_hold hold;
	const char *why, *ended;
	double seen;
	pid_t pid;
	int status;

	why = dm_use_recovery(recovery);
	if (!*why)
		why = dm_hold_begin(&hold) ?: "";
	if (*why)
		return why;
	why = dm_hold_fork(&hold, &how);
	if (*why) {
		ksft_print_msg("%s\n", why);
		dm_end_hold(&hold, false, NULL);
		return "no fork is held";
	}
	pid = dm_begin_unload();
	/* It sleeps there when nobody is inside as well, but not for a second. */
	if (!dm_wait_until(dm_unload_waits, &pid))
		why = "where unloading sleeps cannot be seen";
	for (seen = dm_seconds(); dm_seconds() < seen + 1 && !dm_has_ended(&pid);)
		sched_yield();
	if (!dm_is_held(&hold))
		why = "the fork is held no more";
	/* The fork stays where it is: to let it go now may be the end of the kernel. */
	else if (dm_has_ended(&pid))
		return dm_loaded() ? "it cannot be unloaded" :
			"it was unloaded while a fork was inside of it";
	ended = dm_end_hold(&hold, false, &held);
	if (!*why && *ended) {
		ksft_print_msg("%s\n", ended);
		why = "the fork that was held does not end as it should";
	}
	if (!dm_wait_until(dm_has_ended, &pid)) {
		kill(pid, SIGKILL);
		return "unloading waits for ever";
	}
	if (waitpid(pid, &status, 0) != pid || status || dm_loaded())
		return *why ? why : "it is still there";
	return why;
}

/*
 * Each allocation of a fork fails once. Without the module there is no record, but
 * what is not taken apart the kernel would complain about.
 */
static const char *fail_each(unsigned int *failed)
{
	static struct dm_maps before, after;
	unsigned long taint = dm_taint();
	int nth, try, err = 0, left = 0;
	long committed;
	const char *why;
	pid_t pid;

	why = dm_get_maps(&before);
	if (*why)
		return why;
	for (nth = 1; !left; nth++) {
		/* Committed_AS belongs to the whole system. */
		for (try = 0, committed = 1; try < 4 && committed; try++) {
			committed = dm_committed_as();
			if (committed < 0)
				return "cannot read Committed_AS";
			if (nth == 1000 || dm_set_nth(nth))
				return "cannot go through all allocations";
			pid = dm_fork(&err);
			left = dm_get_nth();
			dm_set_nth(0);
			if (pid > 0)
				waitpid(pid, NULL, 0);
			committed -= dm_committed_as();
		}
		if (committed)
			return "Committed_AS has moved";
		if (pid < 0 && err != ENOMEM)
			return strerror(err);
		*failed += pid < 0;
	}
	why = dm_check_taint(taint);
	if (*why)
		return why;
	why = dm_get_maps(&after);
	if (*why)
		return why;
	return before.len != after.len || memcmp(before.text, after.text, after.len) ?
		"/proc/self/maps of the parent changed" : "";
}

/* NULL, or why it can't be known. *hits: forks on the watched way. */
static const char *watched(int *hits)
{
	static char text[65536];
	const char *p;
	int err;
	pid_t pid;

	*hits = 0;
	if (access(DM_TRACING "set_ftrace_filter", W_OK))
		return "no function tracer (CONFIG_FUNCTION_TRACER)";
	if (dm_write_path(DM_TRACING "set_ftrace_filter", "dup_mmap_watched") ||
	    dm_write_path(DM_TRACING "current_tracer", "function"))
		return "dup_mmap_watched() cannot be traced";
	pid = dm_fork(&err);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	dm_read_path(DM_TRACING "trace", text, sizeof(text));
	dm_write_path(DM_TRACING "current_tracer", "nop");
	close(open(DM_TRACING "set_ftrace_filter", O_WRONLY | O_TRUNC | O_CLOEXEC));
	for (p = text; (p = strstr(p, "dup_mmap_watched <-")); p++)
		++*hits;
	return NULL;
}

int main(void)
{
	static const char * const recoveries[] = { "rust", "upstream" };
	const char *why = "", *no_trace;
	int with, without;
	unsigned int failed = 0;
	size_t i;

	dm_skip_unless_available();
	ksft_print_header();
	ksft_set_plan(ARRAY_SIZE(recoveries) + 3);
	dm_reset();
	no_trace = watched(&with);

	for (i = 0; i < ARRAY_SIZE(recoveries); i++) {
		why = dm_loaded() || dm_load() ? wait_for_held(recoveries[i]) :
			"it cannot be loaded";
		if (*why)
			ksft_print_msg("%s\n", why);
		ksft_test_result(!*why, "unloading waits for a fork that %s recovers\n",
				 recoveries[i]);
	}
	/* What comes now is without it, whatever has gone wrong. */
	if (dm_loaded())
		dm_unload();

	if (!no_trace)
		no_trace = watched(&without);
	if (no_trace)
		ksft_test_result_skip("no fork looks for a module that has gone: %s\n",
				      no_trace);
	else
		ksft_test_result(with && !without,
				 "no fork looks for a module that has gone\n");

	why = dm_alloc_begin(&alloc, "dup_mmap");
	if (!why)
		why = fail_each(&failed);
	dm_alloc_end(&alloc);
	ksft_print_msg("%u forks failed %s\n", failed, why);
	ksft_test_result(!*why && failed, "without the module a failure is recovered\n");

	ksft_test_result(dm_load(), "the module can be loaded again\n");
	ksft_finished();
}
