// SPDX-License-Identifier: GPL-2.0
/*
 * Forks that are chosen as a whole: how many fail, that each fails once, and where. The
 * place is drawn, and the same seed draws the same place.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dup_mmap.h"
#include "harness.h"

#define PER_FORK	DM_FAIL "per-fork"
#define SEED		DM_FAIL "seed"
#define MAX_SEED	2147483647u

static struct dm_maps maps;

FIXTURE(per_fork) {
	struct dm_saved saved;
	struct dm_alloc alloc;
	char *mapped;		/* with a VMA that the child does not get */
};

FIXTURE_SETUP(per_fork)
{
	size_t page = sysconf(_SC_PAGESIZE);

	dm_save(&self->saved);
	self->mapped = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->mapped);
	self->mapped += page;
	ASSERT_EQ(0, madvise(self->mapped, page, MADV_DONTFORK));
	ASSERT_STREQ("", dm_get_maps_and_flags(&maps));
	ASSERT_STREQ("", dm_arm_nothing());
	ASSERT_EQ(0, dm_write(PER_FORK, "Y"));
}

FIXTURE_TEARDOWN_PARENT(per_fork)
{
	dm_alloc_end(&self->alloc);
	dm_restore(&self->saved);
}

static int number(const char *file, unsigned int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	return dm_write(file, text);
}

/* A step, in the order in which dup_mmap() takes them. */
struct step {
	int vma;	/* -1: before the first one; maps.nr: behind the last one */
	int point;
};

static bool is_selected(int point, int only)
{
	return only < 0 || point == only;
}

/* Of these: how many there are, and the nth one, of those with a VMA or without. */
static int count(bool has_vma, int only, int nth, int *found)
{
	int p, n = 0;

	for (p = 0; p < DM_NR_POINTS; p++) {
		if (dm_points[p].has_vma != has_vma || !is_selected(p, only))
			continue;
		if (n++ == nth)
			*found = p;
	}
	return n;
}

/*
 * What a seed selects, if point and vma may be any: all steps are numbered, first those
 * without a VMA, and the seed is a part of 2^31 of their number. only, one: a point, and a
 * VMA; else -1.
 */
static struct step drawn(unsigned int seed, int only, int one)
{
	int others = one < 0 ? count(false, only, -1, NULL) : 0;
	int each = count(true, only, -1, NULL), vmas = one < 0 ? maps.nr : 1;
	int which = (uint64_t)seed * (others + each * vmas) >> 31;
	struct step step = { .vma = -1 };

	if (which < others) {
		count(false, only, which, &step.point);
		if (step.point > DM_VMA_START_WRITE)
			step.vma = maps.nr;
	} else {
		which -= others;
		step.vma = one < 0 ? which / each : one;
		count(true, only, which % each, &step.point);
	}
	return step;
}

/* Does this process's fork come to it? */
static bool is_taken(struct step s)
{
	if (s.vma < 0 || s.vma == maps.nr)
		return !dm_points[s.point].has_vma &&
			(s.vma < 0) == (s.point < DM_VMA_START_WRITE);
	return dm_points[s.point].has_vma && dm_reached(s.point, &maps.vma[s.vma]);
}

/* The first one from there that is taken and selected: false, there is none. */
static bool find_step(struct step *s, int only, int one)
{
	for (; s->vma <= maps.nr; s->vma++, s->point = 0)
		for (; s->point < DM_NR_POINTS; s->point++)
			if (is_selected(s->point, only) && (one < 0 || s->vma == one) &&
			    is_taken(*s))
				return true;
	return false;
}

static const char *check_fork(unsigned int seed, int only, int one)
{
	static char why[160];
	struct step want = drawn(seed, only, one);
	bool fails = find_step(&want, only, one);
	struct dm_record rec;
	struct dm_shot shot;
	const char *wrong;

	if (number(SEED, seed) || dm_write(DM_FAIL "times", "1"))
		return "the seed is refused";
	wrong = dm_watch_fork(&shot, NULL, NULL);
	if (*wrong)
		return wrong;
	if (!!shot.err != fails) {
		snprintf(why, sizeof(why), "seed %u: fork() says %d", seed, shot.err);
		return why;
	}
	/* It was asked for one, and that is done, whether or not there was such a step. */
	if (dm_read_number(DM_DIR "/" DM_FAIL "times"))
		return "the fork is not counted";
	if (!fails)
		return "";
	wrong = dm_judge_shot(&shot, &maps, dm_recovery(), &rec);
	if (*wrong)
		return wrong;
	if (rec.seed != seed || rec.injected != 'y' ||
	    strcmp(rec.point, dm_points[want.point].name) ||
	    rec.index != (dm_points[want.point].has_vma ? want.vma : -1)) {
		snprintf(why, sizeof(why), "seed %u: %s %d seed %lu, expected %s %d", seed,
			 rec.point, rec.index, rec.seed, dm_points[want.point].name, want.vma);
		return why;
	}
	return "";
}

/* From the first step to the last one, and each seed twice. */
static void check_seeds(struct __test_metadata *_metadata, int only, int one, int nr)
{
	int i, twice;

	for (i = 0; i <= nr; i++) {
		unsigned int seed = i ? (uint64_t)MAX_SEED * i / nr : 1;

		for (twice = 0; twice < 2; twice++)
			ASSERT_STREQ("", check_fork(seed, only, one));
	}
}

TEST_F_TIMEOUT(per_fork, a_seed_draws_a_step, dm_long_form() ? 3600 : 300)
{
	check_seeds(_metadata, -1, -1, dm_long_form() ? 4000 : 40);
}

static int few(void)
{
	return dm_long_form() ? 25 : 8;
}

TEST_F(per_fork, among_those_of_a_point)
{
	static const enum dm_point points[] = {
		DM_MT_DUP, DM_CLEAR_DONTCOPY, DM_VM_AREA_DUP, DM_COPY_PAGE_RANGE, DM_ARCH_DUP_MMAP,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(points); i++) {
		ASSERT_EQ(0, dm_write(DM_FAIL "point", dm_points[points[i]].name));
		check_seeds(_metadata, points[i], -1, few());
	}
}

TEST_F(per_fork, among_those_of_a_vma)
{
	int index = dm_index_of(&maps, self->mapped);
	char addr[32];

	ASSERT_GT(index, 0);
	ASSERT_EQ(0, number(DM_FAIL "vma-index", index - 1));
	check_seeds(_metadata, -1, index - 1, few());
	/* The child does not get this one: one step. */
	ASSERT_EQ(0, number(DM_FAIL "vma-index", index));
	check_seeds(_metadata, -1, index, 5);
	ASSERT_EQ(0, dm_write(DM_FAIL "vma-index", "-1"));
	snprintf(addr, sizeof(addr), "%#lx", maps.vma[index + 1].start);
	ASSERT_EQ(0, dm_write(DM_FAIL "vma-addr", addr));
	check_seeds(_metadata, -1, index + 1, few());
	/* None of this process. */
	ASSERT_EQ(0, dm_write(DM_FAIL "vma-addr", "1"));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "1"));
	EXPECT_EQ(0, dm_try_fork());
}

/* Each of them once, and at another step than the one before. */
TEST_F_TIMEOUT(per_fork, random_ones, dm_long_form() ? 3600 : 300)
{
	int i, nr = dm_long_form() ? 4000 : 100, steps = 0, vmas = 0, last = -2;
	struct dm_record rec, before = { 0 };

	ASSERT_EQ(0, dm_write(DM_FAIL "times", "-1"));
	for (i = 0; i < nr; i++) {
		/* The one behind arch-dup-mmap is the last: all of them fail. */
		ASSERT_EQ(ENOMEM, dm_try_fork());
		ASSERT_STREQ("", dm_get_record(&rec));
		ASSERT_EQ('y', rec.injected);
		ASSERT_GT(rec.seed, 0);
		ASSERT_LE(rec.seed, MAX_SEED);
		steps += !!strcmp(rec.point, before.point);
		vmas += rec.index != last;
		ASSERT_NE(rec.seed, before.seed);
		last = rec.index;
		before = rec;
	}
	/* Of a hundred pairs most differ. */
	EXPECT_GT(steps, nr / 2);
	EXPECT_GT(vmas, nr / 2);
	/* What has failed fails again. */
	ASSERT_STREQ("", check_fork(before.seed, -1, -1));
}

TEST_F(per_fork, one_in_three)
{
	struct dm_stats a, b;
	int i, failed = 0;

	ASSERT_EQ(0, dm_write(DM_FAIL "interval", "3"));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "-1"));
	ASSERT_STREQ("", dm_get_stats(&a));
	for (i = 0; i < 30; i++)
		failed += !!dm_try_fork();
	ASSERT_STREQ("", dm_get_stats(&b));
	EXPECT_EQ(10, failed);
	EXPECT_EQ(10, b.injected - a.injected);
}

/* It counts forks, where it would count steps. */
TEST_F(per_fork, fail_nth)
{
	const char *why = dm_alloc_begin(&self->alloc, NULL);
	int i;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, dm_write(DM_FAIL "probability", "0"));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "-1"));
	ASSERT_EQ(0, number(SEED, MAX_SEED / 2));
	ASSERT_EQ(0, dm_set_nth(3));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(i == 2 ? ENOMEM : 0, dm_try_fork()) TH_LOG("fork %d", i);
	EXPECT_EQ(0, dm_try_fork());
}

/* A dry run is no fork that could be chosen. */
TEST_F(per_fork, dry_run)
{
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "1"));
	ASSERT_EQ(0, dm_write(DM_FAIL "dry-run", "Y"));
	EXPECT_EQ(0, dm_try_fork());
	EXPECT_EQ(1, dm_read_number(DM_DIR "/" DM_FAIL "times"));
	EXPECT_EQ(ENOMEM, dm_try_fork());
}

/* The step is taken, and its first allocation fails. */
TEST_F(per_fork, allocation)
{
	const char *why = dm_alloc_begin(&self->alloc, "");
	struct dm_record rec;
	struct dm_stats a, b;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, dm_write(DM_FAIL "point", "vm-area-dup"));
	ASSERT_EQ(0, dm_write(DM_FAIL "alloc-nth", "1"));
	ASSERT_EQ(0, number(SEED, MAX_SEED / 2));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "1"));
	ASSERT_STREQ("", dm_get_stats(&a));
	EXPECT_EQ(ENOMEM, dm_try_fork());
	ASSERT_STREQ("", dm_get_stats(&b));
	EXPECT_EQ(1, b.allocs_failed - a.allocs_failed);
	EXPECT_EQ(0, b.allocs_missed - a.allocs_missed);
	ASSERT_STREQ("", dm_get_record(&rec));
	EXPECT_EQ(MAX_SEED / 2, rec.seed);
	EXPECT_EQ(1, rec.alloc_nth);
}

/* A failure by itself was not drawn. */
TEST_F(per_fork, natural_ones)
{
	struct dm_overcommit saved;
	struct dm_record rec;

	dm_save_overcommit(&saved);
	ASSERT_EQ(0, number(SEED, MAX_SEED));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "-1"));
	ASSERT_NE(NULL, dm_map_without_room(256ul << 20));
	EXPECT_EQ(ENOMEM, dm_try_fork());
	dm_restore_overcommit(&saved);
	ASSERT_STREQ("", dm_get_record(&rec));
	EXPECT_STREQ("vm-enough-memory", rec.point);
	EXPECT_EQ('n', rec.injected);
	EXPECT_EQ(0, rec.seed);
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
