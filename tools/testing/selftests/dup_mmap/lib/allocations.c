// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "kselftest.h"

#include "allocations.h"
#include "counters.h"
#include "fork.h"
#include "io.h"
#include "maps.h"
#include "record.h"
#include "say.h"
#include "shoot.h"

#define DEBUGFS		"/sys/kernel/debug/"
#define FAIL_NTH	"/proc/thread-self/fail-nth"

int dm_set_nth(int nth)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", nth);
	return dm_write_path(FAIL_NTH, text) ? -1 : 0;
}

int dm_get_nth(void)
{
	return dm_read_number(FAIL_NTH);
}

/* Where a function of the kernel is: [*start, *end). */
static bool find_function(const char *name, unsigned long *start,
			  unsigned long *end)
{
	char line[512], symbol[256];
	unsigned long addr;
	FILE *f = fopen("/proc/kallsyms", "re");

	*start = *end = 0;
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f) && !*start)
		if (sscanf(line, "%lx %*c %255s", &addr, symbol) == 2 &&
		    !strcmp(symbol, name))
			*start = addr;
	/* The list is not sorted. */
	rewind(f);
	while (*start && fgets(line, sizeof(line), f)) {
		addr = strtoul(line, NULL, 16);
		if (addr > *start && (!*end || addr < *end))
			*end = addr;
	}
	fclose(f);
	return *end;
}

static bool alloc_set(struct dm_alloc *a, const char *dir, const char *file,
		      const char *text)
{
	int i = a->nr;

	if (i == ARRAY_SIZE(a->file))
		return false;
	snprintf(a->file[i].path, sizeof(a->file[i].path), DEBUGFS "%s/%s", dir,
		 file);
	if (dm_read_path(a->file[i].path, a->file[i].old,
			 sizeof(a->file[i].old)) <= 0)
		return false;
	a->nr++;
	return !dm_write_path(a->file[i].path, text);
}

const char *dm_alloc_begin(struct dm_alloc *a, const char *function)
{
	static const struct {
		const char *dir, *file, *text;
	} any[] = {
		/* By default most allocations are spared. */
		{ "failslab", "ignore-gfp-wait", "N" },
		{ "failslab", "cache-filter", "N" },
		{ "fail_page_alloc", "ignore-gfp-wait", "N" },
		{ "fail_page_alloc", "ignore-gfp-highmem", "N" },
		{ "fail_page_alloc", "min-order", "0" },
	};
	unsigned long start = 0, end = ~0ul;
	char first[32], last[32];
	struct dirent *e;
	bool ok = true;
	size_t i;
	DIR *d;

	a->nr = 0;
	if (dm_get_nth() < 0)
		return "no " FAIL_NTH;
	if (function && *function && !find_function(function, &start, &end))
		return say("no %s in /proc/kallsyms", function);
	snprintf(first, sizeof(first), "%#lx", start);
	snprintf(last, sizeof(last), "%#lx", end);
	for (i = 0; function && i < ARRAY_SIZE(any); i++)
		if (!alloc_set(a, any[i].dir, any[i].file, any[i].text))
			return say("no " DEBUGFS "%s/%s", any[i].dir, any[i].file);
	/*
	 * fail-nth counts what any fault attribute is asked; a stack filter that
	 * nothing passes takes one out.
	 */
	d = opendir(DEBUGFS);
	while (d && ok && (e = readdir(d))) {
		bool wanted = function && (!strcmp(e->d_name, "failslab") ||
					   !strcmp(e->d_name, "fail_page_alloc"));

		if (strncmp(e->d_name, "fail", 4))
			continue;
		/* A failure by fail-nth is one of its times, unless they have no end. */
		ok = alloc_set(a, e->d_name, "verbose", "0") &&
			(!wanted || alloc_set(a, e->d_name, "times", "-1")) &&
			alloc_set(a, e->d_name, "require-start",
				  wanted ? first : "0") &&
			alloc_set(a, e->d_name, "require-end",
				  wanted ? last : "0");
	}
	if (d)
		closedir(d);
	return d && ok ? NULL :
		"no stack filter (CONFIG_FAULT_INJECTION_STACKTRACE_FILTER)";
}

void dm_alloc_end(struct dm_alloc *a)
{
	dm_set_nth(0);
	for (; a->nr; a->nr--)
		dm_write_path(a->file[a->nr - 1].path, a->file[a->nr - 1].old);
}

struct nth {
	int nth, left;		/* left: fail-nth after the fork, 0 if it was used */
};

static pid_t fork_with_nth(void *arg, int *err)
{
	struct nth *n = arg;
	pid_t pid;

	if (dm_set_nth(n->nth))
		return 0;
	pid = dm_fork(err);
	n->left = dm_get_nth();
	dm_set_nth(0);
	return pid;
}

/* One fork with the n-th of the allocations failing; *used: there was one. */
static const char *fail_alloc_once(int nth, const struct dm_maps *before,
				   enum dm_point point, const char *recovery,
				   bool *forked, bool *used)
{
	static struct dm_maps after;
	static struct dm_record rec;
	unsigned long taint = dm_taint();
	struct nth n = { .nth = nth };
	struct dm_shot shot;
	struct dm_tries tries = { 0 };
	const char *why;

	do {
		why = dm_watch_fork(&shot, fork_with_nth, &n);
		if (*why)
			return why;
		if (n.left < 0)
			return "reading " FAIL_NTH;
		*forked = !shot.err;
		*used = !n.left;
		why = dm_check_taint(taint);
		if (*why)
			return why;
		why = dm_get_maps(&after);
		if (*why)
			return why;
		if (before->len != after.len ||
		    memcmp(before->text, after.text, after.len))
			return "/proc/self/maps of the parent changed";
		if (shot.after.injected != shot.before.injected)
			return say("stats: injected grew by %lu",
				   shot.after.injected - shot.before.injected);
		if (!*forked) {
			why = dm_judge_shot(&shot, before, recovery, &rec);
			if (*why)
				return why;
			if (dm_point_of(rec.point) != point)
				return say("last: point is %s, expected %s", rec.point,
					   dm_points[point].name);
		}
		why = dm_moved(&shot);
	} while (dm_try_again(&tries, *why));
	return why;
}

const char *dm_fail_allocs(enum dm_point point, const char *recovery,
			   const char *(*check)(void *arg), void *arg,
			   int at_least, int *failed)
{
	static struct dm_maps before;
	static char text[600];
	bool forked, used;
	const char *why;
	int pass, nth;

	why = dm_get_maps_and_flags(&before);
	if (*why)
		return why;
	/* This module's attribute does not count. */
	if (dm_write(DM_FAIL "require-end", "0"))
		return "writing " DM_FAIL "require-end";
	/*
	 * A cache that takes another slab meanwhile makes one allocation more, and
	 * those behind it change places with ones that were tried already.
	 */
	for (pass = 0; pass < 5; pass++) {
		*failed = 0;
		for (nth = 1, used = true; used; nth++) {
			if (nth == 1000)
				return "there is no end to it";
			why = fail_alloc_once(nth, &before, point, recovery, &forked,
					      &used);
			if (!*why)
				why = check(arg);
			if (*why) {
				snprintf(text, sizeof(text), "allocation %d: %s", nth,
					 why);
				return text;
			}
			*failed += used && !forked;
		}
		if (*failed >= at_least)
			break;
	}
	return "";
}
