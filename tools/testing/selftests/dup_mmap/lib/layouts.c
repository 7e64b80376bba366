// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fork.h"
#include "io.h"
#include "layouts.h"
#include "maps.h"
#include "say.h"

const char * const dm_kind_names[DM_NR_KINDS] = {
	[DM_ANON]		= "anonymous",
	[DM_FILE_PRIVATE]	= "private file",
	[DM_FILE_SHARED]	= "shared file",
	[DM_DONTFORK]		= "DONTFORK",
	[DM_WIPEONFORK]		= "WIPEONFORK",
	[DM_AFTER_DONTFORK]	= "after DONTFORK",
	[DM_BEFORE_DONTFORK]	= "before DONTFORK",
};

const char * const dm_position_names[DM_NR_POSITIONS] = {
	[DM_FIRST]	= "first",
	[DM_MIDDLE]	= "middle",
	[DM_LAST]	= "last",
};

unsigned long long dm_sum(const void *p, size_t len)
{
	const uint64_t *word = p;
	unsigned long long h = 0xcbf29ce484222325ull;	/* FNV-1a, but for the words */

	for (; len; len -= sizeof(*word))
		h = (h ^ *word++) * 0x100000001b3ull;
	return h;
}

/* An address for len bytes below every VMA, or above every VMA. */
static char *lowest(size_t len)
{
	unsigned long page = sysconf(_SC_PAGESIZE);
	long min = dm_read_number("/proc/sys/vm/mmap_min_addr");
	void *p;

	if (min < 0x10000)
		min = 0x10000;
	min = (min + page - 1) & ~(page - 1);
	p = mmap((void *)min, len, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

static char *highest(size_t len, const struct dm_maps *maps)
{
	unsigned long page = sysconf(_SC_PAGESIZE);
	unsigned long above = maps->vma[maps->nr - 1].end;
	int bits;

	/*
	 * The size of the address space depends on architecture, page size and
	 * CPU. It is a power of two, on x86 less one page. Beyond 47 (x86) or
	 * 48 (arm64) bits mmap() wants to be asked for the address, as here.
	 */
	for (bits = 32; bits < 60; bits++) {
		unsigned long addr = (1ul << bits) - page - len;
		void *p;

		if (addr < above + page || 1ul << bits <= above)
			continue;
		p = mmap((void *)addr, len, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		if (p == (void *)addr)
			return p;
		if (p != MAP_FAILED)
			munmap(p, len);
	}
	return NULL;
}

static bool map_at(char *addr, size_t len, int flags, int fd)
{
	return mmap(addr, len, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0) ==
		(void *)addr;
}

static int find_vma(const struct dm_maps *maps, const char *addr, size_t len)
{
	unsigned long start = (unsigned long)addr;
	int i;

	for (i = 0; i < maps->nr; i++)
		if (maps->vma[i].start == start && maps->vma[i].end == start + len)
			return i;
	return -1;
}

static bool map_kind(struct dm_layout *l)
{
	const int anon = MAP_PRIVATE | MAP_ANONYMOUS;
	bool ok = false;
	size_t i;
	int fd;

	switch (l->kind) {
	case DM_FILE_PRIVATE:
		fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
		ok = fd >= 0 && map_at(l->addr, l->len, MAP_PRIVATE, fd);
		if (fd >= 0)
			close(fd);
		break;
	case DM_FILE_SHARED:
		l->fd = memfd_create("dup_mmap", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		ok = l->fd >= 0 && !ftruncate(l->fd, l->len) &&
			map_at(l->addr, l->len, MAP_SHARED, l->fd);
		break;
	case DM_DONTFORK:
		ok = map_at(l->addr, l->len, anon, -1) &&
			!madvise(l->addr, l->len, MADV_DONTFORK);
		break;
	case DM_WIPEONFORK:
		ok = map_at(l->addr, l->len, anon, -1) &&
			!madvise(l->addr, l->len, MADV_WIPEONFORK);
		break;
	default:
		ok = map_at(l->addr, l->len, anon, -1);
	}
	if (!ok)
		return false;
	/* Every other page, so that there is something to copy and to skip. */
	for (i = 0; i < l->len; i += 2 * sysconf(_SC_PAGESIZE))
		memset(l->addr + i, 0x5a + l->kind, 64);
	l->sum = dm_sum(l->addr, l->len);
	return true;
}

const char *dm_build(struct dm_layout *l, enum dm_kind kind,
		     enum dm_position position)
{
	static struct dm_maps maps;
	unsigned long page = sysconf(_SC_PAGESIZE);
	size_t side = 2 * page;
	char *dontfork = NULL;
	const char *why;

	memset(l, 0, sizeof(*l));
	l->kind = kind;
	l->position = position;
	l->fd = -1;
	l->len = 4 * page;
	l->whole_len = l->len;
	if (kind == DM_AFTER_DONTFORK || kind == DM_BEFORE_DONTFORK)
		l->whole_len += side;

	why = dm_get_maps(&maps);
	if (*why)
		return why;
	switch (position) {
	case DM_FIRST:
		l->whole = lowest(l->whole_len);
		if (!l->whole)
			return "the lowest address is taken";
		l->addr = l->whole;
		break;
	case DM_LAST:
		l->whole = highest(l->whole_len, &maps);
		if (!l->whole)
			return "no room above the highest VMA";
		l->addr = l->whole;
		break;
	default:
		/* Kept apart from its neighbours, so that it does not merge. */
		l->whole_len += 2 * page;
		l->whole = mmap(NULL, l->whole_len, PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (l->whole == MAP_FAILED) {
			l->whole = NULL;
			return say("mmap: %s", strerror(errno));
		}
		l->addr = l->whole + page;
	}
	if (kind == DM_AFTER_DONTFORK) {
		dontfork = l->addr;
		l->addr += side;
	} else if (kind == DM_BEFORE_DONTFORK) {
		dontfork = l->addr + l->len;
	}
	if (!map_kind(l) ||
	    (dontfork && (!map_at(dontfork, side, MAP_PRIVATE | MAP_ANONYMOUS, -1) ||
			  madvise(dontfork, side, MADV_DONTFORK)))) {
		why = say("mapping: %s", strerror(errno));
		dm_unbuild(l);
		return why;
	}
	if (dontfork)
		memset(dontfork, 0x33, 64);

	/* The position is judged by the maps, not by what was asked for. */
	why = dm_get_maps(&maps);
	if (*why)
		return why;
	l->index = find_vma(&maps, l->addr, l->len);
	if (l->index < 0 || (dontfork && find_vma(&maps, dontfork, side) < 0))
		return "the VMA was merged or split";
	if (position == DM_FIRST && maps.vma[0].start != (unsigned long)l->whole)
		return "the VMA is not the first one";
	if (position == DM_LAST &&
	    maps.vma[maps.nr - 1].end != (unsigned long)l->whole + l->whole_len)
		return "the VMA is not the last one";
	if (position == DM_MIDDLE && (!l->index || l->index == maps.nr - 1))
		return "the VMA is not in the middle";
	return NULL;
}

const char *dm_check_layout(const struct dm_layout *l)
{
	if (dm_sum(l->addr, l->len) != l->sum)
		return "the memory of the parent changed";
	return "";
}

static int child_sees(void *arg)
{
	struct dm_layout *l = arg;
	unsigned char vec[16];
	size_t i;

	switch (l->kind) {
	case DM_DONTFORK:
		return mincore(l->addr, l->len, vec) != -1 || errno != ENOMEM;
	case DM_WIPEONFORK:
		for (i = 0; i < l->len; i++)
			if (l->addr[i])
				return 1;
		return 0;
	default:
		return dm_sum(l->addr, l->len) != l->sum;
	}
}

const char *dm_check_clean_fork(struct dm_layout *l)
{
	int ret = dm_fork_run(child_sees, l);

	if (ret < 0)
		return say("a fork with nothing armed: %s", strerror(-ret));
	if (ret)
		return say("the child of a fork that works finds wrong memory (%d)",
			   ret);
	return "";
}

const char *dm_unbuild(struct dm_layout *l)
{
	const char *why = "";

	if (l->whole && munmap(l->whole, l->whole_len))
		why = say("munmap: %s", strerror(errno));
	l->whole = NULL;
	if (l->fd >= 0) {
		/*
		 * Refused with EBUSY while the file counts a writable mapping
		 * which nobody has any more.
		 */
		if (!*why && fcntl(l->fd, F_ADD_SEALS, F_SEAL_WRITE))
			why = say("sealing the file after munmap(): %s (i_mmap_writable not back?)",
				  strerror(errno));
		close(l->fd);
		l->fd = -1;
	}
	return why;
}
