// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "counters.h"
#include "hold.h"
#include "io.h"
#include "ksm.h"
#include "scene.h"
#include "swap.h"
#include "tasks.h"

struct dm_scene *dm_scene;

bool dm_left(void)
{
	return dm_is_left(dm_scene->stay.recovery);
}

bool dm_is_bare(void)
{
	return !strcmp(dm_scene->stay.recovery, "xa-zero-bare");
}

bool dm_parent_is_free(void)
{
	return dm_scene->stay.at >= DM_AT_UNLOCKED ||
		(dm_scene->stay.at > DM_AT_BEFORE && dm_lets_go_early(dm_scene->stay.recovery));
}

bool dm_has_pages(void)
{
	return dm_left() || dm_scene->stay.at < DM_AT_AFTER;
}

bool dm_share_scene(void)
{
	void *p;

	if (dm_scene)
		return true;
	p = mmap(NULL, sizeof(*dm_scene), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		 -1, 0);
	if (p == MAP_FAILED)
		return false;
	dm_scene = p;
	return true;
}

const char *dm_make_scene(const char *recovery, enum dm_at at,
			  const struct dm_cgroup *cgroup)
{
	struct dm_scene *s;
	int i;

	if (!dm_share_scene())
		return "no memory";
	s = dm_scene;
	memset(s, 0, sizeof(*s));
	s->stay = (struct dm_stay){ .at = at, .recovery = recovery, .point = DM_VM_AREA_DUP };
	s->cgroup = cgroup;
	s->page = sysconf(_SC_PAGESIZE);
	s->taint = dm_taint();
	s->file = memfd_create("window", MFD_CLOEXEC);
	s->huge_file = memfd_create("huge", MFD_CLOEXEC);
	if (s->file < 0 || s->huge_file < 0 || !dm_write_code() ||
	    !dm_worker_open(&s->main) || !dm_worker_open(&s->thread))
		return "no files";
	for (i = 0; i < DM_NR_OUTSIDERS; i++)
		if (!dm_worker_open(&s->outsider[i]))
			return "no pipe";
	/* This process is the grandparent, who shares these with the child. */
	return dm_map_pages(DM_V_SHARED, DM_V_PAGES) ? "" : "no memory";
}

static bool victim_is_gone(void *arg)
{
	char state = dm_state_of(dm_scene->victim);

	return state == '?' || state == 'Z' || state == 'X';
}

void dm_clean_scene(void)
{
	dm_let_victim_go();
	if (dm_scene && dm_scene->victim > 0) {
		kill(dm_scene->victim, SIGKILL);
		dm_wait_until(victim_is_gone, NULL);
	}
	dm_swap_off();
	unlink(DM_CODE_FILE);
	/* KSM has the mms of those that have ended, until it looks at them again. */
	dm_unmerge();
}

/*
 * What all three have is one page then. It is merged of pages of this process as well, so
 * that the kernel has two places to start from when it looks for who has it.
 */
static const char *share_by_ksm(void)
{
	size_t page = dm_scene->page;
	const char *why;
	uint64_t entry;

	if (!dm_map_pages(DM_V_MERGED, DM_V_PAGES))
		return "no memory";
	why = dm_merge(dm_at(DM_V_MERGED), DM_V_PAGES, DM_V_MERGED_CONTENT);
	if (*why)
		return why;
	/*
	 * KSM has used it, so it would not be reclaimed in a long time. Nobody can call a
	 * page cold that is mapped more than once.
	 */
	if (madvise(dm_at(DM_V_MERGED + 1), (DM_V_PAGES - 1) * page, MADV_DONTNEED) ||
	    madvise(dm_at(DM_V_MERGED), page, MADV_COLD))
		return "the page that was merged stays in use";
	if (!dm_pagemap(dm_at(DM_V_MERGED), 1, &entry))
		return "no frame of the page that was merged";
	dm_scene->ksm_frame = DM_PAGE_FRAME(entry);
	return "";
}

/* What has to be there before the victim: "" or why it is not. */
static const char *set_up(unsigned int who)
{
	struct dm_scene *s = dm_scene;
	const char *why;
	int i;

	/* Those who must not have what is merged. */
	for (i = 0; i < DM_NR_OUTSIDERS; i++) {
		why = who & 1u << i ? dm_start(i, &s->outsider[i]) : "";
		if (*why)
			return why;
	}
	why = s->with & DM_KSM_PAGES ? share_by_ksm() : "";
	if (*why)
		return why;
	if (ftruncate(s->file, DM_V_PAGES * s->page) ||
	    (s->with & DM_A_HUGE_FILE &&
	     ftruncate(s->huge_file, dm_read_number(DM_HUGE_SIZE))))
		return "the files can't be made larger";
	return dm_allow_stay(s->stay.at);
}

static bool is_ready(void *arg)
{
	return __atomic_load_n(&dm_scene->ready, __ATOMIC_SEQ_CST) ||
		dm_state_of(dm_scene->victim) == 'Z';
}

bool dm_is_over(void *arg)
{
	return __atomic_load_n(&dm_scene->over, __ATOMIC_SEQ_CST);
}

bool dm_holds(void)
{
	return dm_nr_held(dm_scene->victim) == 1;
}

static bool is_held_or_over(void *arg)
{
	return dm_holds() || dm_is_over(NULL);
}

const char *dm_hold_victim(enum dm_with with, unsigned int who)
{
	pid_t parent = getpid(), pid;
	struct dm_scene *s = dm_scene;
	const char *why;

	s->with = with;
	why = set_up(who);
	if (*why)
		return why;
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return "fork fails";
	if (!pid) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
			_exit(1);
		why = dm_be_victim();
		snprintf(s->main.why, sizeof(s->main.why), "%s", why);
		_exit(!!*why);
	}
	s->victim = pid;
	if (!dm_wait_until(is_ready, NULL) || !s->ready)
		return s->main.why[0] ? s->main.why : "the parent is not ready to fork";
	why = s->with & DM_KSM_PAGES ? dm_forget_use() : "";
	if (*why)
		return why;
	dm_tell(&s->main);
	if (!dm_wait_until(is_held_or_over, NULL) || !dm_holds())
		return "the fork is not held";
	if (s->stay.at == DM_AT_PINNED && !dm_wait_until(dm_is_over, NULL))
		return "the fork does not return";
	return "";
}

void dm_let_victim_go(void)
{
	dm_release_all();
}

bool dm_victim_has_ended(void *arg)
{
	siginfo_t info = {};

	return !waitid(P_PID, dm_scene->victim, &info, WEXITED | WNOHANG | WNOWAIT) &&
		info.si_pid == dm_scene->victim;
}

static const char *end_victim(bool killed)
{
	struct dm_scene *s = dm_scene;
	const char *why = "";
	int status;

	dm_tell(&s->main);
	if (!dm_wait_until(dm_victim_has_ended, NULL)) {
		kill(s->victim, SIGKILL);
		why = "the fork that was let go does not return";
	}
	waitpid(s->victim, &status, 0);
	s->victim = 0;
	if (*why)
		return why;
	if (s->main.why[0])
		return s->main.why;
	return (killed ? status != SIGKILL : status || s->err != ENOMEM) ?
		"the parent does not end as it should" : "";
}

static const char *end_outsiders(void)
{
	static char why[256];
	int i;

	why[0] = '\0';
	for (i = 0; i < DM_NR_OUTSIDERS; i++) {
		const char *ended = "";

		if (dm_scene->outsider[i].tid > 0)
			ended = dm_end(i, &dm_scene->outsider[i]);
		if (*ended)
			snprintf(why, sizeof(why), "%s", ended);
	}
	return why;
}

/* Of this process, which has had a part in it. */
static const char *check_grandparent(void)
{
	return dm_has_pattern(DM_V_SHARED, DM_V_PAGES) &&
		(!(dm_scene->with & DM_KSM_PAGES) ||
		 dm_has_only(DM_V_MERGED, 1, DM_V_MERGED_CONTENT)) ?
		"" : "the memory of the grandparent has changed";
}

const char *dm_end_scene(bool killed)
{
	const char *why = "", *ended;

	dm_let_victim_go();
	if (dm_scene->victim > 0)
		why = end_victim(killed);
	ended = end_outsiders();
	if (!*why)
		why = ended;
	if (!*why)
		why = check_grandparent();
	/* What is in them is accounted. */
	if ((ftruncate(dm_scene->file, 0) || ftruncate(dm_scene->huge_file, 0)) && !*why)
		why = "the files can't be made smaller";
	return why;
}
