// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hold.h"
#include "io.h"
#include "model.h"
#include "say.h"
#include "settings.h"
#include "stay.h"
#include "tasks.h"
#include "trace.h"

bool dm_comes_to(const struct dm_stay *stay)
{
	return stay->at != DM_AT_PARENT || dm_lets_go_early(stay->recovery);
}

bool dm_is_locked_at(enum dm_at at)
{
	return at == DM_AT_BEFORE || at == DM_AT_PARENT || at == DM_AT_AFTER;
}

bool dm_is_left(const char *recovery)
{
	return !strncmp(recovery, "xa-zero", 7);
}

static const char *write_number(const char *file, int nr)
{
	char text[16];
	int ret;

	snprintf(text, sizeof(text), "%d", nr);
	ret = dm_write(file, text);
	return ret ? say("writing %d to %s: %s", nr, file, strerror(-ret)) : "";
}

const char *dm_prepare_stays(void)
{
	const char *why = dm_arm_nothing();

	if (!*why && dm_write_path("/proc/self/make-it-fail", "0"))
		why = "make-it-fail cannot be written";
	return *why ? why : dm_allow_stay(DM_AT_NONE);
}

const char *dm_allow_stay(enum dm_at at)
{
	if (dm_write(DM_HOLD "at", dm_at_names[at]))
		return "hold/at cannot be written";
	return write_number(DM_HOLD "timeout-ms", DM_STAY_MS);
}

const char *dm_aim_stay(const struct dm_stay *stay, int times)
{
	const char *why = dm_use_recovery(stay->recovery);

	if (!*why && dm_write(DM_HOLD "at", dm_at_names[stay->at]))
		why = "hold/at cannot be written";
	if (!*why)
		why = dm_aim(stay->point, stay->index, 0);
	return *why || times == 1 ? why : write_number(DM_FAIL "times", times);
}

static bool is_held(void *arg)
{
	struct dm_forker *f = arg;

	return dm_nr_held(f->pid) == 1;
}

const char *dm_begin_stay(struct dm_forker *f, const struct dm_stay *stay)
{
	const char *why = dm_aim_stay(stay, 1);

	if (!*why)
		why = dm_tell_to_fork(f);
	if (*why)
		return why;
	if (!dm_wait_until(is_held, f))
		return say("no fork is held at %s", dm_at_names[stay->at]);
	if (stay->at == DM_AT_PINNED)
		return dm_await_fork(f, ENOMEM);
	return dm_has_forked(f) ? "it is held, and over" : "";
}

int dm_release(pid_t pid)
{
	char nr[16];

	snprintf(nr, sizeof(nr), "%d", pid);
	return dm_write(DM_HOLD "release", nr);
}

int dm_release_all(void)
{
	return dm_write(DM_HOLD "release", "all");
}

bool dm_is_no_more_held(void *arg)
{
	struct dm_forker *f = arg;

	return !dm_nr_held(f->pid);
}

bool dm_is_none_held(void *arg)
{
	return !dm_nr_held(0);
}

const char *dm_end_stay(struct dm_forker *f)
{
	int ret = dm_release(f->pid);
	const char *why;

	if (ret)
		return say("release: %s", strerror(-ret));
	why = dm_await_fork(f, ENOMEM);
	if (*why)
		return why;
	return dm_wait_until(dm_is_no_more_held, f) ? "" : "it is listed still";
}

static bool are_two_in_trace(void *arg)
{
	const struct dm_event *events;

	return dm_get_events(&events) >= 2;
}

const char *dm_await_end(const struct dm_stay *stay, const char *why)
{
	const struct dm_event *events;
	char want[2][96];
	int i, nr;

	snprintf(want[0], sizeof(want[0]), "hold: at=%s begins", dm_at_names[stay->at]);
	snprintf(want[1], sizeof(want[1]), "hold: at=%s ends: %s", dm_at_names[stay->at], why);
	/* What is pinned is taken from the list, then apart, and only then it is over. */
	dm_wait_until(are_two_in_trace, NULL);
	nr = dm_get_events(&events);
	for (i = 0; i < nr && i < 2; i++)
		if (strcmp(events[i].what, want[i]))
			return say("'%s', expected '%s'", events[i].what, want[i]);
	return nr == 2 ? "" : say("%d events, and not '%s'", nr, want[1]);
}

static bool is_entry(const struct dm_entry *e, const char *kind, const struct dm_vma *vma)
{
	return !strcmp(e->kind, kind) && e->start == vma->start && e->end == vma->end;
}

static const char *wrong_entry(const struct dm_entry *e, const char *kind,
			       const struct dm_vma *vma)
{
	return say("'%s' %lx-%lx, expected %s %lx-%lx", e->kind, e->start, e->end, kind,
		   vma->start, vma->end);
}

/* An mm that was left: the copies, the mark on the first that is none, the parent's. */
static const char *check_stale(const struct dm_maps *maps, const struct dm_expect *want,
			       int failed, const struct dm_sight *s)
{
	bool is_marked = failed < maps->nr;
	int i, nr = 0;

	if (strcmp(s->verdict, "stale"))
		return say("'%s', expected stale", s->verdict);
	for (i = 0; i < maps->nr; i++) {
		const char *kind = i < failed ? "own" : i == failed ? "marker" : "parent";

		if (i < failed && maps->vma[i].dontcopy)
			continue;
		if (nr == s->nr)
			return say("there are %d entries only", nr);
		if (!is_entry(&s->entry[nr], kind, &maps->vma[i]))
			return wrong_entry(&s->entry[nr], kind, &maps->vma[i]);
		nr++;
	}
	if (nr != s->nr)
		return say("%d entries, expected %d", s->nr, nr);
	if (s->has_find != is_marked)
		return "find-vma is there, or it is not";
	if (!s->has_find)
		return "";
	/* It goes past the mark. */
	if (s->addr != want->end)
		return say("find-vma is of %lx, expected %llx", s->addr, want->end);
	if (failed + 1 == maps->nr)
		return *s->found.kind ? "find-vma finds something" : "";
	return is_entry(&s->found, "parent", &maps->vma[failed + 1]) ? "" :
		wrong_entry(&s->found, "parent", &maps->vma[failed + 1]);
}

/* One that nobody gets into, or that has nothing in it. */
static const char *check_empty(const struct dm_sight *s, bool locked, bool has_find,
			       unsigned long end)
{
	const char *verdict = locked ? "locked" : "clean";

	if (strcmp(s->verdict, verdict))
		return say("'%s', expected %s", s->verdict, verdict);
	if (s->nr)
		return say("there are %d entries", s->nr);
	if (s->has_find != has_find)
		return "find-vma is there, or it is not";
	if (has_find && s->addr != end)
		return say("find-vma is of %lx, expected %lx", s->addr, end);
	return *s->found.kind ? "find-vma finds something" : "";
}

const char *dm_check_sight(pid_t pid, const struct dm_maps *maps, const struct dm_stay *stay,
			   const struct dm_sight *s)
{
	struct dm_expect want;
	const char *flags;
	int failed;

	dm_model(maps, stay->point, stay->index, 0, &want);
	if (!want.recovered)
		return "there is nothing to be seen of such a fork";
	/* The first VMA that was not copied; maps->nr if all were. */
	for (failed = 0; failed < maps->nr && maps->vma[failed].start < want.end; failed++)
		;
	if (!want.copied)
		failed = want.index;
	flags = stay->at == DM_AT_BEFORE ? "-" : stay->at == DM_AT_PARENT ? "oom-skip" :
		dm_flags_after(&want, stay->recovery);

	if (s->pid != pid)
		return say("it is of %d, expected %d", s->pid, pid);
	if (strcmp(s->at, dm_at_names[stay->at]))
		return say("it is at %s, expected %s", s->at, dm_at_names[stay->at]);
	if (strcmp(s->recovery, stay->recovery))
		return say("it is of %s, expected %s", s->recovery, stay->recovery);
	if (strcmp(s->flags, flags))
		return say("its flags are %s, expected %s", s->flags, flags);
	if (s->users != 1)
		return say("it has %ld users", s->users);
	if (dm_is_locked_at(stay->at))
		return check_empty(s, true, false, 0);
	if (dm_is_left(stay->recovery))
		return check_stale(maps, &want, failed, s);
	return check_empty(s, false, failed < maps->nr, want.end);
}

const char *dm_check_stay(const struct dm_forker *f, const struct dm_stay *stay)
{
	static struct dm_sights sights;
	struct dm_held_list held;
	const struct dm_held_line *line = &held.line[0];
	const char *why = dm_get_held(&held);

	if (*why)
		return why;
	if (held.nr != 1)
		return say("%d forks are held", held.nr);
	if (line->pid != f->pid || strcmp(line->at, dm_at_names[stay->at]) ||
	    strcmp(line->recovery, stay->recovery) || strcmp(line->comm, DM_FORKER_COMM) ||
	    line->timeout != DM_STAY_MS || line->ms < 0 || line->ms > DM_STAY_MS)
		return say("hold/held: %d %s %s %ld %ld %s", line->pid, line->at, line->recovery,
			   line->ms, line->timeout, line->comm);
	why = dm_get_sights(&sights);
	if (*why)
		return why;
	if (sights.nr != 1)
		return say("%d children are observed", sights.nr);
	return dm_check_sight(f->pid, &f->maps, stay, &sights.child[0]);
}
