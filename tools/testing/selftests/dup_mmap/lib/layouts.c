// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fork.h"
#include "io.h"
#include "layouts.h"
#include "maps.h"
#include "say.h"

const char * const dm_position_names[DM_NR_POSITIONS] = {
	[DM_FIRST]	= "first",
	[DM_MIDDLE]	= "middle",
	[DM_LAST]	= "last",
};

static struct dm_maps maps;

static char *align_up(unsigned long addr, size_t align)
{
	return (char *)((addr + align - 1) & -align);
}

/* Nothing yet. NULL if that place is taken, or none. */
static char *reserve(char *addr, size_t len)
{
	char *p = mmap(addr, len, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (p == addr)
		return p;
	if (p != MAP_FAILED)
		munmap(p, len);
	return NULL;
}

/* Of the VMA, with room for its neighbours, below every VMA. */
static char *lowest(size_t before, size_t len, size_t align)
{
	long min = dm_read_number("/proc/sys/vm/mmap_min_addr");
	char *addr;

	if (min < 0x10000)
		min = 0x10000;
	addr = align_up(min + before, align);
	return reserve(addr - before, before + len) ? addr : NULL;
}

/* Above every VMA, but at end or below it. */
static char *highest_below(unsigned long end, size_t before, size_t len, size_t align)
{
	unsigned long above = maps.vma[maps.nr - 1].end;
	char *addr = (char *)((end - len) & -align);

	if (end < above + before + len || addr - before < (char *)above)
		return NULL;
	return reserve(addr - before, before + len) ? addr : NULL;
}

static char *highest(size_t before, size_t len, size_t align)
{
	unsigned long page = sysconf(_SC_PAGESIZE);
	char *addr = NULL;
	int bits;

	/*
	 * The size of the address space depends on architecture, page size and
	 * CPU. It is a power of two, on x86 less one page. Beyond 47 (x86) or
	 * 48 (arm64) bits mmap() wants to be asked for the address, as here.
	 */
	for (bits = 32; bits < 60 && !addr; bits++)
		addr = highest_below((1ul << bits) - page, before, len, align);
	return addr;
}

/*
 * On um the vdso is at the end of the address space. It is code that nothing in
 * here calls while it is not at its place.
 */
static const char *move_vdso(struct dm_layout *l)
{
	size_t page = sysconf(_SC_PAGESIZE);
	struct dm_vma *vma = &maps.vma[maps.nr - 1];
	char *p;

	if (strcmp(vma->name, "[vdso]") || vma->end - vma->start != page)
		return "no room above the highest VMA";
	p = mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || mremap((char *)vma->start, page, page,
				      MREMAP_MAYMOVE | MREMAP_FIXED, p) != p)
		return say("moving the vdso: %s", strerror(errno));
	l->vdso = (char *)vma->start;
	l->vdso_at = p;
	maps.nr--;
	return NULL;
}

static const char *put_vdso_back(struct dm_layout *l)
{
	size_t page = sysconf(_SC_PAGESIZE);
	char *at = l->vdso_at;

	l->vdso_at = NULL;
	return at && mremap(at, page, page, MREMAP_MAYMOVE | MREMAP_FIXED,
			    l->vdso) != l->vdso ?
		say("moving the vdso back: %s", strerror(errno)) : "";
}

/* Sets whole and addr. NULL, or why there is no such place. */
static const char *find_place(struct dm_layout *l)
{
	size_t page = sysconf(_SC_PAGESIZE), before = dm_kind_before(l->kind);
	size_t align = dm_kind_align(l->kind), len = l->len + dm_kind_behind(l->kind);
	const char *why;

	l->whole_len = before + len;
	switch (l->position) {
	case DM_FIRST:
		l->addr = lowest(before, len, align);
		if (!l->addr)
			return "the lowest address is taken";
		l->whole = l->addr - before;
		return NULL;
	case DM_LAST:
		l->addr = highest(before, len, align);
		if (!l->addr) {
			why = move_vdso(l);
			if (why)
				return why;
			l->addr = highest_below((unsigned long)l->vdso + page, before,
						len, align);
		}
		if (!l->addr)
			return "no room above the highest VMA";
		l->whole = l->addr - before;
		return NULL;
	default:
		/* Kept apart from its neighbours, so that it does not merge. */
		l->whole_len += align + 2 * page;
		l->whole = mmap(NULL, l->whole_len, PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (l->whole == MAP_FAILED) {
			l->whole = NULL;
			return say("mmap: %s", strerror(errno));
		}
		l->addr = align_up((unsigned long)l->whole + page + before, align);
		return NULL;
	}
}

static int find_vma(const char *addr, size_t len)
{
	unsigned long start = (unsigned long)addr;
	int i;

	for (i = 0; i < maps.nr; i++)
		if (maps.vma[i].start == start && maps.vma[i].end == start + len)
			return i;
	return -1;
}

/* The position is judged by the maps, not by what was asked for. */
static const char *find_it(struct dm_layout *l)
{
	size_t before = dm_kind_before(l->kind), behind = dm_kind_behind(l->kind);
	const char *why = dm_get_maps(&maps);

	if (*why)
		return why;
	l->index = find_vma(l->addr, l->len);
	if (l->index < 0 || (before && find_vma(l->addr - before, before) < 0) ||
	    (behind && find_vma(l->addr + l->len, behind) < 0))
		return "the VMA was merged or split";
	if (l->position == DM_FIRST && maps.vma[0].start != (unsigned long)l->whole)
		return "the VMA is not the first one";
	if (l->position == DM_LAST &&
	    maps.vma[maps.nr - 1].end != (unsigned long)l->whole + l->whole_len)
		return "the VMA is not the last one";
	if (l->position == DM_MIDDLE && (!l->index || l->index == maps.nr - 1))
		return "the VMA is not in the middle";
	return NULL;
}

const char *dm_build(struct dm_layout *l, enum dm_kind kind,
		     enum dm_position position)
{
	static char text[256];
	const char *why;

	memset(l, 0, sizeof(*l));
	l->kind = kind;
	l->position = position;
	l->fd = -1;
	l->len = dm_kind_len(kind);
	if (!l->len)
		return "there are no huge pages of that kind";
	why = dm_get_maps(&maps);
	if (*why)
		return why;
	why = find_place(l);
	if (!why)
		why = dm_make_kind(l);
	if (!why)
		why = find_it(l);
	if (!why)
		return NULL;
	snprintf(text, sizeof(text), "%s", why);
	dm_unbuild(l);
	return text;
}

const char *dm_check_layout(const struct dm_layout *l)
{
	return dm_check_kind(l);
}

static int check_in_child(void *arg)
{
	return !!*dm_check_kind_in_child(arg);
}

const char *dm_check_clean_fork(const struct dm_layout *l)
{
	int ret = dm_fork_run(check_in_child, (void *)l);

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

	if (l->addr)
		dm_unmake_kind(l);
	if (l->whole && munmap(l->whole, l->whole_len))
		why = say("munmap: %s", strerror(errno));
	l->whole = NULL;
	l->addr = NULL;
	if (!*why)
		why = put_vdso_back(l);
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

void dm_build_all(struct dm_layout l[DM_NR_ALL], char *missing, size_t size)
{
	const char *why;
	int i;

	*missing = '\0';
	for (i = 0; i < DM_NR_ALL; i++) {
		if (i < DM_NR_KINDS)
			why = dm_build(&l[i], i, DM_MIDDLE);
		else
			why = dm_build(&l[i], DM_DONTFORK,
				       i == DM_NR_KINDS ? DM_FIRST : DM_LAST);
		if (!why)
			continue;
		snprintf(missing + strlen(missing), size - strlen(missing), "%s%s (%s)",
			 *missing ? ", " : "", dm_kind_name(l[i].kind), why);
	}
}

const char *dm_check_all(const struct dm_layout l[DM_NR_ALL])
{
	const char *why = "";
	int i;

	for (i = 0; i < DM_NR_ALL && !*why; i++)
		if (l[i].addr)
			why = dm_check_layout(&l[i]);
	return *why ? say("%s: %s", dm_kind_name(l[i - 1].kind), why) : "";
}

/* One child is enough for all of them. */
static int check_all_in_child(void *arg)
{
	const struct dm_layout *l = arg;
	int i;

	for (i = 0; i < DM_NR_ALL; i++)
		if (l[i].addr && *dm_check_kind_in_child(&l[i]))
			return i + 1;
	return 0;
}

const char *dm_check_all_in_child(const struct dm_layout l[DM_NR_ALL])
{
	int ret = dm_fork_run(check_all_in_child, (void *)l);

	if (ret < 0)
		return say("a fork with nothing armed: %s", strerror(-ret));
	if (ret)
		return say("the child of a fork that works finds wrong memory: %s",
			   dm_kind_name(l[ret - 1].kind));
	return "";
}

const char *dm_unbuild_all(struct dm_layout l[DM_NR_ALL])
{
	const char *why = "";
	int i;

	/* A helper has copies of what was there before it. */
	for (i = 0; i < DM_NR_ALL; i++)
		if (l[i].addr)
			dm_unmake_kind(&l[i]);
	for (i = 0; i < DM_NR_ALL; i++) {
		const char *this = l[i].addr ? dm_unbuild(&l[i]) : "";

		if (*this)
			why = this;
	}
	return why;
}

static bool room_above(void)
{
	struct dm_layout l;
	bool room = true;
	int k;

	for (k = 0; k < DM_NR_KINDS && room; k++) {
		l = (struct dm_layout) {
			.kind = k, .position = DM_LAST, .len = dm_kind_len(k), .fd = -1
		};
		/* Where there are none, they need none. */
		if (l.len)
			room = !*dm_get_maps(&maps) && !find_place(&l);
		dm_unbuild(&l);
	}
	return room;
}

void dm_with_room_above(char **argv)
{
	const char *tried = getenv("DUP_MMAP_TRIED");
	int nr = tried ? atoi(tried) : 0;
	char text[16];

	if (!room_above() && nr < 32) {
		snprintf(text, sizeof(text), "%d", nr + 1);
		setenv("DUP_MMAP_TRIED", text, 1);
		execv("/proc/self/exe", argv);
	}
}
