// SPDX-License-Identifier: GPL-2.0
/* What the threads of the parent do to the VMAs that the child's tree refers to. */
#include <sys/mman.h>
#include <sys/wait.h>

#include "parent.h"

static const char *fault(void)
{
	/* What the child has too, and what it has not; used before, or not. */
	static const int pages[] = { 2, 4, 32, 34 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		write_once(at(pages[i]), 2);
		if (*at(pages[i]) != 2)
			return "it reads what was not written";
	}
	return "";
}

static const char *map(void)
{
	size_t len = 4 * scene->page;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return "mmap() fails";
	write_once(p, 1);
	return munmap(p, len) ? "munmap() fails" : "";
}

static const char *unmap(void)
{
	const struct dm_layout *last = &scene->last;

	/* Copied, the one that failed and its neighbours, further ones. */
	if (munmap(at(8), 3 * scene->page) ||
	    munmap(at(FAIL_AT), 2 * scene->page) ||
	    munmap(at(40), 4 * scene->page))
		return "munmap() fails";
	return last->addr && munmap(last->addr, last->len) ?
		"munmap() of the last one fails" : "";
}

static const char *move(void)
{
	static const int from[] = { 12, 46 };
	char *to;
	int i;

	for (i = 0; i < 2; i++) {
		to = at(NR_AREA + 1 + i);
		if (mremap(at(from[i]), scene->page, scene->page,
			   MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
			return "mremap() fails";
		if (*to != from[i])
			return "what was moved has changed";
	}
	return "";
}

/* Becomes one with its neighbours, so that these are freed. */
static const char *protect(void)
{
	return mprotect(at(14), scene->page, PROT_READ) ||
		mprotect(at(44), scene->page, PROT_READ) ||
		mprotect(at(48), 3 * scene->page, PROT_READ | PROT_WRITE) ?
		"mprotect() fails" : "";
}

static const char *advise(void)
{
	if (madvise(at(16), scene->page, MADV_DONTNEED) ||
	    madvise(at(36), scene->page, MADV_DONTNEED))
		return "MADV_DONTNEED fails";
	if (*at(16) || *at(36))
		return "MADV_DONTNEED leaves something";
	/* And no other child has the file, whose end would be held as well. */
	return madvise(at(38), scene->page, MADV_DONTFORK) ||
		madvise(scene->file, DM_HELD_LEN, MADV_DONTFORK) ?
		"MADV_DONTFORK fails" : "";
}

/* Of each kind both: written to, so that the parent has it for itself, and unmapped. */
static const char *kinds(void)
{
	struct dm_layout *l;
	const char *why;
	int side, k;
	size_t i;

	for (side = 0; side < 2; side++) {
		for (k = 0; k < with_kinds[scene->with].nr; k++) {
			l = &scene->kinds[side][k];
			if (!l->addr)
				continue;
			for (i = 0; i < l->looked_at; i += scene->page)
				write_once(l->addr + i, l->addr[i]);
			why = dm_check_kind(l);
			if (*why)
				return "the memory of the parent changed";
			if (munmap(l->whole, l->whole_len))
				return "munmap() fails";
		}
	}
	return "";
}

static const char *fork_too(void)
{
	int err, status;
	pid_t pid = dm_fork(&err);

	if (pid < 0)
		return "a fork fails";
	return waitpid(pid, &status, 0) != pid || status ? "its child ends badly" : "";
}

const struct op ops[NR_OPS] = {
	[FAULT]		= { "fault", fault },
	[MAP]		= { "mmap", map },
	[UNMAP]		= { "munmap", unmap },
	[MOVE]		= { "mremap", move },
	[PROTECT]	= { "mprotect", protect },
	[ADVISE]	= { "madvise", advise },
	[KINDS]		= { "the kinds", kinds },
	[FORK]		= { "fork", fork_too },
};
