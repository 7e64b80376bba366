// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "counters.h"
#include "drain.h"
#include "fork.h"
#include "io.h"
#include "model.h"
#include "others.h"
#include "say.h"
#include "settings.h"
#include "shoot.h"

/* Open files of this process, without those that are kept open here. */
static int nr_fds(void)
{
	struct pollfd fds[64] = {};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i].fd = i;
	/* Says which ones are none. */
	return ARRAY_SIZE(fds) - poll(fds, ARRAY_SIZE(fds), 0);
}

/* It fell into the time that fork() took. */
static const char *compare_ns(const struct dm_shot *shot, const struct dm_record *rec)
{
	return rec->ns <= shot->ns ? "" :
		say("last: ns is %lu, and fork() took %lu", rec->ns, shot->ns);
}

const char *dm_watch_fork(struct dm_shot *shot, pid_t (*how)(void *arg, int *err),
			  void *arg)
{
	int err = 0, status;
	long before, after;
	static pid_t asked;
	const char *why;
	pid_t pid;

	/* Who comes or goes from now on. */
	if (asked != getpid())
		dm_others_changed();
	asked = getpid();

	why = dm_get_stats(&shot->before);
	if (*why)
		return why;
	before = dm_committed_as();
	shot->ns = dm_ns();
	pid = how ? how(arg, &err) : dm_fork(&err);
	shot->ns = dm_ns() - shot->ns;
	if (!pid)
		return "the fork could not be tried";
	if (pid > 0 && (waitpid(pid, &status, 0) != pid || status))
		return say("the child ended with status %#x", status);
	after = dm_committed_as();
	/*
	 * The child is gone, but whoever closes a userfaultfd of its mm has that mm meanwhile,
	 * and gives back what is in it.
	 */
	if (pid > 0 && after != before) {
		dm_wait_until_idle();
		after = dm_committed_as();
	}
	if (before < 0 || after < 0)
		return "cannot read Committed_AS";
	shot->committed = after - before;
	shot->err = pid < 0 ? err : 0;
	why = dm_get_stats(&shot->after);
	if (*why)
		return why;
	if (pid > 0 && shot->after.failed != shot->before.failed)
		return say("stats: failed grew by %lu, but fork() worked",
			   shot->after.failed - shot->before.failed);
	return "";
}

const char *dm_moved(const struct dm_shot *shot)
{
	unsigned long forks = shot->after.forks - shot->before.forks;

	return shot->committed || forks > 1 ?
		say("Committed_AS moved by %ld kB over the fork, stats: forks by %lu",
		    shot->committed, forks) : "";
}

bool dm_try_again(struct dm_tries *tries, bool moved)
{
	if (!moved)
		return tries->left-- > 0;
	tries->left = DM_AGAIN;
	/* Who is about to end, or to be waited for, is still in /proc. */
	dm_wait_until_idle();
	if (dm_others_changed())
		return true;
	if (tries->moved)
		return false;
	tries->moved = true;
	return true;
}

const char *dm_judge_shot(const struct dm_shot *shot, const struct dm_maps *maps,
			  const char *recovery, struct dm_record *rec)
{
	struct dm_expect want;
	const char *why;

	if (!shot->err)
		return "fork() worked, expected ENOMEM";
	if (shot->err != ENOMEM)
		return say("fork() said %s, expected ENOMEM", strerror(shot->err));
	why = dm_get_record(rec);
	if (!*why)
		why = dm_judge(maps, recovery, rec);
	if (*why)
		return why;
	if (rec->pid != getpid())
		return say("last: pid is %d, expected %d", rec->pid, getpid());
	dm_model(maps, dm_point_of(rec->point), rec->index, 0, &want);
	want.injected = rec->injected == 'y';
	want.allocs_failed = !!rec->alloc_nth + (rec->recovery_alloc_failed == 'y');
	want.allocs_missed = want.recovered && rec->recovery_alloc_nth &&
		rec->recovery_alloc_failed == 'n';
	why = dm_compare_stats(&want, recovery, &shot->before, &shot->after);
	return *why ? why : compare_ns(shot, rec);
}

const char *dm_begin_series(struct dm_series *s, const char *recovery)
{
	const char *why;

	s->fds = nr_fds();
	dm_keep_open();
	why = dm_get_maps_and_flags(&s->maps);
	if (*why)
		return why;
	s->recovery = recovery;
	s->taint = dm_taint();
	dm_read_path("/proc/self/comm", s->comm, sizeof(s->comm));
	s->comm[strcspn(s->comm, "\n")] = '\0';
	return dm_arm_nothing();
}

void dm_end_series(void)
{
	dm_disarm();
	dm_close_kept();
}

/* *disturbed: it says nothing, as somebody else has moved what is counted. */
static const char *shoot_once(struct dm_series *s, enum dm_point point, int index,
			      int err, struct dm_record *rec, bool *disturbed)
{
	static struct dm_maps after;
	static struct dm_stats stats[2];
	static struct dm_counts counts[2];
	static struct dm_expect want;
	static char last[2][4096];
	const char *why;
	struct dm_shot shot;
	long times;

	dm_model(&s->maps, point, index, err, &want);
	why = dm_get_stats(&stats[0]);
	if (*why)
		return why;
	why = dm_get_counts(&counts[0]);
	if (*why)
		return why;
	if (!want.fails && dm_read("last", last[0], sizeof(last[0])) <= 0)
		return "cannot read last";
	why = dm_aim(point, index, err);
	if (*why)
		return why;

	why = dm_watch_fork(&shot, NULL, NULL);
	if (*why)
		return why;
	times = dm_read_number(dm_path(DM_FAIL "times"));
	if (times)
		dm_write(DM_FAIL "times", "0");

	if (want.fails && !shot.err)
		return "fork() worked, expected ENOMEM";
	if (want.fails && shot.err != ENOMEM)
		return say("fork() said %s, expected ENOMEM", strerror(shot.err));
	if (!want.fails && shot.err)
		return say("fork() said %s, but this point is not reached here",
			   strerror(shot.err));
	if (times != !want.fails)
		return say("times is %ld afterwards, expected %d", times,
			   !want.fails);
	why = dm_check_taint(s->taint);
	if (*why)
		return why;
	if (nr_fds() != s->fds)
		return say("%d open files, expected %d", nr_fds(), s->fds);

	why = dm_get_maps(&after);
	if (*why)
		return why;
	if (s->maps.len != after.len || memcmp(s->maps.text, after.text, after.len))
		return "/proc/self/maps of the parent changed";
	why = dm_get_counts(&counts[1]);
	if (*why)
		return why;
	why = dm_get_stats(&stats[1]);
	if (*why)
		return why;
	why = dm_compare_stats(&want, s->recovery, &stats[0], &stats[1]);
	if (*why)
		return why;
	*disturbed = shot.committed || stats[1].forks - stats[0].forks != 1;
	if (*disturbed)
		return say("Committed_AS moved by %ld kB over the fork, stats: forks by %lu",
			   shot.committed, stats[1].forks - stats[0].forks);
	why = dm_compare_counts(&want, point, &counts[0], &counts[1]);
	/* Perhaps of a fork that had begun before: that one is in forks already. */
	*disturbed = *why;
	if (*why)
		return why;
	if (!want.fails) {
		dm_read("last", last[1], sizeof(last[1]));
		if (strcmp(last[0], last[1]))
			return "last changed though no fork failed";
		memset(rec, 0, sizeof(*rec));
		rec->none = true;
		return "";
	}

	why = dm_get_record(rec);
	if (*why)
		return why;
	why = dm_compare(&s->maps, &want, point, s->recovery, rec);
	if (*why)
		return why;
	why = compare_ns(&shot, rec);
	if (*why)
		return why;
	if (rec->injected != 'y')
		return "last: injected is n, expected y";
	if (rec->pid != getpid())
		return say("last: pid is %d, expected %d", rec->pid, getpid());
	if (strcmp(rec->comm, s->comm))
		return say("last: comm is %s, expected %s", rec->comm, s->comm);
	return "";
}

const char *dm_shoot(struct dm_series *s, enum dm_point point, int index, int err,
		     struct dm_record *rec)
{
	struct dm_tries tries = { 0 };
	const char *why;
	bool disturbed;

	do {
		disturbed = false;
		why = shoot_once(s, point, index, err, rec, &disturbed);
	} while ((!*why || disturbed) && dm_try_again(&tries, disturbed));
	if (*why)
		dm_write(DM_FAIL "times", "0");
	return why;
}

const char *dm_shoot_around(const void *addr, const char *recovery,
			    const char *(*check)(void *arg), void *arg)
{
	static struct dm_series s;
	static char text[600];
	struct dm_record rec;
	const char *why;
	int p, at, index;

	why = dm_begin_series(&s, recovery);
	if (*why)
		return why;
	index = dm_index_of(&s.maps, addr);
	if (index < 0 || index + 1 == s.maps.nr)
		return say("no VMA at %p, or none after it", addr);
	for (at = index; at <= index + 1; at++) {
		for (p = 0; p < DM_NR_POINTS; p++) {
			if (!dm_points[p].has_vma && at != index)
				continue;
			why = dm_shoot(&s, p, dm_points[p].has_vma ? at : -1, 0, &rec);
			if (!*why)
				why = check(arg);
			if (!*why)
				continue;
			snprintf(text, sizeof(text), "%s, %s VMA: %s",
				 dm_points[p].name, at == index ? "this" : "next",
				 why);
			dm_end_series();
			return text;
		}
	}
	dm_end_series();
	return "";
}
