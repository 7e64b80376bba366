// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include <unistd.h>

#include "kselftest.h"

#include "model.h"
#include "say.h"

bool dm_reached(enum dm_point point, const struct dm_vma *vma)
{
	if (!dm_points[point].has_vma)
		return false;
	if (point == DM_VMA_START_WRITE)
		return true;
	if (point == DM_CLEAR_DONTCOPY || vma->dontcopy)
		return point == DM_CLEAR_DONTCOPY && vma->dontcopy;
	if (point == DM_VM_ENOUGH_MEMORY)
		return vma->account;
	if (point == DM_ANON_VMA_FORK || point == DM_COPY_PAGE_RANGE)
		return !vma->wipeonfork;
	return true;
}

int dm_nr_steps(const struct dm_maps *maps)
{
	int p, v, nr = 0;

	for (p = 0; p < DM_NR_POINTS; p++) {
		nr += !dm_points[p].has_vma;
		for (v = 0; v < maps->nr; v++)
			nr += dm_reached(p, &maps->vma[v]);
	}
	return nr;
}

/* Until it fails, if it does, at this point for the VMA of that index. */
static void count_hits(const struct dm_maps *maps, enum dm_point point,
		       struct dm_expect *want)
{
	bool fails = want->fails;
	int i, p;

	for (p = DM_MMAP_WRITE_LOCK; p <= DM_MT_DUP; p++) {
		want->hits[p] = 1;
		if (fails && p == (int)point)
			return;
	}
	for (i = 0; i < maps->nr; i++) {
		for (p = DM_VMA_START_WRITE; p < DM_ARCH_DUP_MMAP; p++) {
			if (!dm_reached(p, &maps->vma[i]))
				continue;
			want->hits[p]++;
			if (fails && i == want->index && p == (int)point)
				return;
		}
	}
	want->hits[DM_ARCH_DUP_MMAP] = 1;
}

void dm_model(const struct dm_maps *maps, enum dm_point point, int index,
	      int err, struct dm_expect *want)
{
	const struct dm_point_info *info = &dm_points[point];
	unsigned long page = sysconf(_SC_PAGESIZE);
	int i, v = -1, copied_to = 0;

	memset(want, 0, sizeof(*want));
	want->index = -1;
	want->class = "-";
	want->err = err && info->err_kept ? err : info->err;

	if (!info->has_vma) {
		want->fails = index == -1;
	} else {
		for (i = 0; i < maps->nr; i++) {
			if (index != -1 && i != index)
				continue;
			if (dm_reached(point, &maps->vma[i])) {
				v = i;
				break;
			}
		}
		want->fails = v >= 0;
		want->index = v;
	}
	want->injected = want->fails;
	count_hits(maps, point, want);
	if (!want->fails || point == DM_MMAP_WRITE_LOCK || point == DM_MT_DUP)
		return;

	/* Which VMAs of the child are its own when recovery starts? */
	want->recovered = true;
	if (point == DM_ARCH_DUP_MMAP)
		copied_to = maps->nr;
	else if (point == DM_COPY_PAGE_RANGE)
		copied_to = v + 1;	/* it is in the tree by then */
	else
		copied_to = v;
	for (i = 0; i < copied_to; i++) {
		const struct dm_vma *vma = &maps->vma[i];

		if (vma->dontcopy)
			continue;
		want->copied++;
		if (vma->account)
			want->uncharged += (vma->end - vma->start) / page;
	}
	want->torn_down = want->copied;
	if (!want->copied) {
		want->class = "none";
		want->end = 0;
	} else if (copied_to == maps->nr) {
		want->class = "all";
		want->end = ~0ull;
	} else {
		want->class = "partial";
		want->end = maps->vma[copied_to].start;
	}
}

/* Left as it is until the locks are dropped, and taken apart then. */
static bool is_left(const char *recovery)
{
	return !strncmp(recovery, "xa-zero", 7);
}

const char *dm_flags_after(const struct dm_expect *want, const char *recovery)
{
	if (!want->recovered || !strcmp(recovery, "xa-zero-bare"))
		return "-";
	/* Where all was copied there is no mark to hide. */
	return is_left(recovery) && !strcmp(want->class, "all") ? "unstable" :
		"oom-skip,unstable";
}

const char *dm_compare(const struct dm_maps *maps, const struct dm_expect *want,
		       enum dm_point point, const char *recovery,
		       const struct dm_record *rec)
{
	const char *flags = dm_flags_after(want, recovery);
	unsigned long torn_down = is_left(recovery) ? 0 : want->torn_down;
	unsigned long uncharged = is_left(recovery) ? 0 : want->uncharged;
	const struct dm_vma *vma = NULL;

	if (rec->none)
		return "last: none, expected a record";
	if (strcmp(rec->point, dm_points[point].name))
		return say("last: point is %s, expected %s", rec->point,
			   dm_points[point].name);
	if (rec->index != want->index)
		return say("last: vma-index is %d, expected %d", rec->index,
			   want->index);
	if (want->index >= 0)
		vma = &maps->vma[want->index];
	if (rec->has_vma != !!vma)
		return say("last: %s vma", vma ? "no" : "unexpected");
	if (vma && (rec->start != vma->start || rec->end_addr != vma->end))
		return say("last: vma is %lx-%lx, expected %lx-%lx", rec->start,
			   rec->end_addr, vma->start, vma->end);
	if (rec->err != want->err)
		return say("last: errno is %d, expected %d", rec->err, want->err);
	if (rec->injected != 'y' && (rec->alloc_nth || rec->recovery_alloc_nth))
		return "last: not injected, and yet there is an alloc-nth";
	if (rec->recovery_alloc_failed == 'y' && !rec->recovery_alloc_nth)
		return "last: recovery-alloc-failed though none was to fail";
	if (strcmp(rec->recovery, want->recovered ? recovery : "-"))
		return say("last: recovery is %s, expected %s", rec->recovery,
			   want->recovered ? recovery : "-");
	if (strcmp(rec->class, want->class))
		return say("last: class is %s, expected %s", rec->class,
			   want->class);
	if (rec->has_end != want->recovered)
		return say("last: %s end", want->recovered ? "no" : "unexpected");
	if (rec->end != want->end)
		return say("last: end is %#llx, expected %#llx",
			   rec->end,
			   want->end);
	if (rec->copied != want->copied)
		return say("last: vmas-copied is %lu, expected %lu", rec->copied,
			   want->copied);
	if (rec->torn_down != torn_down)
		return say("last: vmas-torn-down is %lu, expected %lu",
			   rec->torn_down, torn_down);
	if (rec->uncharged != uncharged)
		return say("last: pages-uncharged is %lu, expected %lu",
			   rec->uncharged, uncharged);
	if (strcmp(rec->mm_flags, flags))
		return say("last: mm-flags are %s, expected %s", rec->mm_flags, flags);
	if (!rec->ns != !want->recovered)
		return say("last: ns is %lu, and %s was recovered", rec->ns,
			   want->recovered ? "something" : "nothing");
	if (!rec->parent_lock_ns != !want->recovered)
		return say("last: parent-lock-ns is %lu, and %s was recovered",
			   rec->parent_lock_ns, want->recovered ? "something" : "nothing");
	if (rec->parent_lock_ns > rec->ns)
		return say("last: parent-lock-ns is %lu, more than ns, %lu",
			   rec->parent_lock_ns, rec->ns);
	return "";
}

const char *dm_judge(const struct dm_maps *maps, const char *recovery,
		     const struct dm_record *rec)
{
	enum dm_point point = dm_point_of(rec->point);
	struct dm_expect want;

	if (rec->none)
		return "last: none, expected a record";
	if (point == DM_NR_POINTS)
		return say("last: there is no point %s", rec->point);
	dm_model(maps, point, rec->index, 0, &want);
	if (!want.fails)
		return say("last: VMA %d does not get to %s", rec->index, rec->point);
	return dm_compare(maps, &want, point, recovery, rec);
}

const char *dm_compare_stats(const struct dm_expect *want, const char *recovery,
			     const struct dm_stats *a, const struct dm_stats *b)
{
	bool rust = want->recovered && !strcmp(recovery, "rust");
	bool upstream = want->recovered && !strcmp(recovery, "upstream");
	bool left = want->recovered && is_left(recovery);
	const struct {
		const char *key;
		unsigned long seen, want;
	} k[] = {
		{ "failed", b->failed - a->failed, want->fails },
		{ "injected", b->injected - a->injected, want->injected },
		{ "allocs-failed", b->allocs_failed - a->allocs_failed,
		  want->allocs_failed },
		{ "allocs-missed", b->allocs_missed - a->allocs_missed,
		  want->allocs_missed },
		{ "recovered-rust", b->rust - a->rust, rust },
		{ "recovered-upstream", b->upstream - a->upstream, upstream },
		{ "left-xa-zero", b->left - a->left, left },
		{ "vmas-torn-down", b->torn_down - a->torn_down,
		  left ? 0 : want->torn_down },
		{ "pages-uncharged", b->uncharged - a->uncharged,
		  left ? 0 : want->uncharged },
	};
	size_t i;

	/* Others may fork meanwhile, but their forks do not fail. */
	if (b->forks <= a->forks)
		return say("stats: forks did not grow from %lu", a->forks);
	for (i = 0; i < ARRAY_SIZE(k); i++)
		if (k[i].seen != k[i].want)
			return say("stats: %s grew by %ld, expected %lu", k[i].key,
				   (long)k[i].seen, k[i].want);
	return "";
}

const char *dm_compare_counts(const struct dm_expect *want, enum dm_point point,
			      const struct dm_counts *a, const struct dm_counts *b)
{
	int p;

	for (p = 0; p < DM_NR_POINTS; p++) {
		unsigned long injected = want->fails && p == (int)point;

		if (b->injected[p] - a->injected[p] != injected)
			return say("points: injected of %s grew by %ld, expected %lu",
				   dm_points[p].name,
				   (long)(b->injected[p] - a->injected[p]), injected);
		if (b->hits[p] - a->hits[p] != want->hits[p])
			return say("points: hits of %s grew by %ld, expected %lu",
				   dm_points[p].name, (long)(b->hits[p] - a->hits[p]),
				   want->hits[p]);
	}
	return "";
}
