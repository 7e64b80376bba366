// SPDX-License-Identifier: GPL-2.0
/* The VMAs of the parent: made before its fork, and looked at when that has failed. */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "parent.h"

/*
 * Below the area, but for the file's VMA: more than the module takes apart together,
 * so that it has the others still to do when it is held. Nobody touches these.
 */
#define NR_LOW		80
#define LOW		((char *)(64ul << 20))

const struct kinds_of with_kinds[NR_WITH] = {
	/* Not with those that need a process, which would have the file as well. */
	[A_FILE]	= { 1, { DM_MEMFD_SHARED } },
	/* The huge pages where there are any. */
	[OTHERS]	= { 5, { DM_HUGETLB, DM_HUGETLB_SHARED, DM_USERFAULTFD, DM_MLOCKED,
				 DM_GUP_PINNED } },
};

static bool make_area(void)
{
	size_t len = (NR_AREA + SPARE) * scene->page;
	char *p = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int i;

	if (p == MAP_FAILED)
		return false;
	scene->area = p;
	for (i = 0; i < NR_AREA; i++) {
		if (mprotect(at(i), scene->page,
			     i % 2 ? PROT_READ : PROT_READ | PROT_WRITE))
			return false;
		if (i % 2 == 0 && !UNTOUCHED(i))
			*at(i) = i;
	}
	return true;
}

static bool make_low(void)
{
	size_t len = NR_LOW * scene->page, i;

	if (mmap(LOW, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
		 -1, 0) != LOW)
		return false;
	for (i = 0; i < len; i += 2 * scene->page) {
		if (mprotect(LOW + i, scene->page, PROT_READ | PROT_WRITE))
			return false;
		LOW[i] = 1;
	}
	return true;
}

static const char *make_kinds(int side)
{
	const char *why;
	int k;

	for (k = 0; k < with_kinds[scene->with].nr; k++) {
		enum dm_kind kind = with_kinds[scene->with].kind[k];

		if (!dm_kind_len(kind))
			continue;
		why = dm_build(&scene->kinds[side][k], kind, DM_MIDDLE);
		if (why)
			return why;
	}
	return "";
}

static bool is_below(int side, int k)
{
	return scene->kinds[side][k].addr < scene->area;
}

extern char __executable_start[], etext[];

const char *prepare(void *arg, struct dm_place *place)
{
	const char *why;
	int k;

	/* Code that was never run before would be a page fault, too. */
	madvise((void *)((uintptr_t)__executable_start & -scene->page),
		etext - __executable_start, MADV_POPULATE_READ);
	/* One on each side of the area, whichever is the lower one. */
	why = make_kinds(0);
	if (*why)
		return why;
	if (!make_area() || !make_low())
		return "there is no room for the VMAs";
	why = make_kinds(1);
	if (*why)
		return why;
	for (k = 0; k < with_kinds[scene->with].nr; k++)
		if (scene->kinds[0][k].addr && is_below(0, k) == is_below(1, k))
			return "both of a kind are on the same side";
	if (scene->where == LAST) {
		why = dm_build(&scene->last, DM_ANON, DM_LAST);
		if (why)
			return why;
	}
	if (!start_threads())
		return "no threads";
	switch (scene->where) {
	case LATE:
		place->file = at(FAIL_AT - 1);
		place->fail = at(FAIL_AT);
		break;
	case MIDDLE:
		place->fail = at(FAIL_AT);
		break;
	case LAST:
		place->fail = scene->last.addr;
		break;
	case FIRST:
	case ALL:
		break;
	}
	return "";
}

const char *check(void *arg)
{
	const char *why;
	int side, k, i, status;
	char c;

	if (read(scene->finish[0], &c, 1) != 1)
		return "the test has gone";
	for (i = 0; i < NR_LEAVERS; i++)
		if (waitpid(scene->leaver[i].tid, &status, 0) != scene->leaver[i].tid ||
		    status)
			return leaver_name(i);
	for (i = 18; i < 28; i += 2)
		if (*at(i) != i)
			return "a page of the parent has changed";
	for (i = 0; i < NR_LOW; i += 2)
		if (LOW[i * scene->page] != 1)
			return "a page of the parent has changed";
	for (side = 0; side < 2; side++) {
		for (k = 0; k < with_kinds[scene->with].nr; k++) {
			/* Of a file it is known whether any mapping has been left behind. */
			why = dm_unbuild(&scene->kinds[side][k]);
			if (*why)
				return why;
		}
	}
	return dm_unbuild(&scene->last);
}
