// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "counters.h"
#include "fork.h"
#include "hold.h"
#include "io.h"
#include "say.h"
#include "settings.h"
#include "tasks.h"

const char *dm_hold_begin(struct dm_hold *hold)
{
	const char *why;

	memset(hold, 0, sizeof(*hold));
	hold->held = mmap(NULL, sizeof(*hold->held), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (hold->held == MAP_FAILED) {
		hold->held = NULL;
		return "no memory";
	}
	why = dm_fuse_begin(&hold->fuse);
	if (why) {
		munmap(hold->held, sizeof(*hold->held));
		hold->held = NULL;
	}
	return why;
}

static void *lowest(void)
{
	long min = dm_read_number("/proc/sys/vm/mmap_min_addr");

	return (void *)(min < 0x10000 ? 0x10000 : min);
}

/* The file is mapped last, so that no helper of the process has it. */
static const char *map_file(struct dm_hold *hold, void *at)
{
	int flags = MAP_SHARED | (at ? MAP_FIXED : MAP_FIXED_NOREPLACE);
	char *p;

	at = at ?: lowest();
	p = mmap(at, DM_HELD_LEN, PROT_READ | PROT_WRITE, flags, hold->fuse.file, 0);
	if (p == MAP_FAILED)
		return say("mapping the file at %p: %s", at, strerror(errno));
	/* To close it writes it back as well, and so would the end of any child. */
	close(hold->fuse.file);
	/* From now on there is something to write back, whoever does that. */
	*p = 1;
	hold->held->file = p;
	return "";
}

static const char *fail_and_be_held(struct dm_hold *hold, const struct dm_how *how)
{
	struct dm_held *held = hold->held;
	struct dm_place place = {};
	const char *why;
	int index = -1;
	pid_t pid;

	why = how->prepare ? how->prepare(how->arg, &place) : "";
	if (!*why)
		why = map_file(hold, place.file);
	if (!*why)
		why = dm_get_maps_and_flags(&held->maps);
	if (*why)
		return why;
	if (dm_points[how->point].has_vma) {
		index = dm_index_of(&held->maps, place.fail ?: held->file);
		if (index < 0)
			return "there is no such VMA to fail at";
	}
	if (!how->dry_run)
		why = dm_arm(how->point, index, 0);
	else if (dm_write(DM_FAIL "dry-run", "1"))
		why = "cannot ask for a dry run";
	if (*why)
		return why;
	if (how->unjudged) {
		pid = dm_fork(&held->shot.err);
		if (pid > 0)
			waitpid(pid, NULL, 0);
	} else {
		why = dm_watch_fork(&held->shot, NULL, NULL);
	}
	__atomic_store_n(&held->over, true, __ATOMIC_SEQ_CST);
	if (*why)
		return why;
	if (!how->unjudged) {
		dm_disarm();
		why = dm_judge_shot(&held->shot, &held->maps, dm_recovery(), &held->rec);
	} else if (held->shot.err != ENOMEM) {
		why = "fork() did not say ENOMEM";
	}
	if (!*why && how->check)
		why = how->check(how->arg);
	return why;
}

static bool is_over(const struct dm_hold *hold)
{
	return __atomic_load_n(&hold->held->over, __ATOMIC_SEQ_CST);
}

/* When the process ends it closes its own mapping of the file: that is no fork. */
bool dm_is_held(const struct dm_hold *hold)
{
	return !is_over(hold) && dm_fuse_waiting(&hold->fuse) && !dm_fuse_gave_up(&hold->fuse) &&
		dm_sleeps_in(hold->pid, DM_HELD_IN);
}

static bool held_or_gone(void *arg)
{
	struct dm_hold *hold = arg;

	return dm_is_held(hold) || is_over(hold) || dm_state_of(hold->pid) == 'Z';
}

const char *dm_hold_fork(struct dm_hold *hold, const struct dm_how *how)
{
	pid_t parent = getpid();
	const char *why;

	dm_fuse_hold(&hold->fuse, FUSE_WRITE);
	fflush(stdout);
	hold->pid = fork();
	if (hold->pid < 0) {
		hold->pid = 0;
		return say("fork: %s", strerror(errno));
	}
	if (!hold->pid) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
			_exit(1);
		why = fail_and_be_held(hold, how);
		/* Of what went wrong there first, if anything. */
		snprintf(hold->held->why, sizeof(hold->held->why), "%s", why);
		__atomic_store_n(&hold->held->over, true, __ATOMIC_SEQ_CST);
		_exit(!!*why);
	}
	if (dm_wait_until(held_or_gone, hold) && dm_is_held(hold)) {
		hold->since = dm_ns();
		return "";
	}
	return say("no fork is held: %s", hold->held->why[0] ? hold->held->why :
		   dm_fuse_waiting(&hold->fuse) ? "it is not asleep in " DM_HELD_IN :
		   "nobody has closed the child's VMA");
}

void dm_let_go(struct dm_hold *hold)
{
	dm_fuse_let_go(&hold->fuse);
}

void dm_kill_held(struct dm_hold *hold)
{
	kill(hold->pid, SIGKILL);
}

static const char *reap(struct dm_hold *hold, bool killed)
{
	int status;

	/* Not before all of its threads have left. */
	if (!dm_wait_until(dm_has_ended, &hold->pid)) {
		kill(hold->pid, SIGKILL);
		return "the fork that was let go does not return";
	}
	waitpid(hold->pid, &status, 0);
	if (hold->held->why[0])
		return say("%s", hold->held->why);
	if (killed ? status != SIGKILL : !!status)
		return say("the process whose fork was held ended with status %#x", status);
	return "";
}

const char *dm_end_hold(struct dm_hold *hold, bool killed, struct dm_held *held)
{
	const char *why = "";

	if (!hold->held)
		return "";
	if (dm_fuse_gave_up(&hold->fuse))
		why = "it took too long, so the fork was let go too early";
	dm_let_go(hold);
	if (hold->pid) {
		const char *ended = reap(hold, killed);

		why = *why ? why : ended;
	}
	dm_fuse_end(&hold->fuse);
	if (held)
		*held = *hold->held;
	munmap(hold->held, sizeof(*hold->held));
	memset(hold, 0, sizeof(*hold));
	return why;
}

bool dm_lets_go_early(const char *recovery)
{
	return !strcmp(recovery, "rust") && !dm_is_um();
}
