// SPDX-License-Identifier: GPL-2.0
/*
 * The window: a fork that fails is held under each recovery, and what an outsider finds of
 * its child is printed side by side.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "demo.h"

enum { XA_ZERO, UPSTREAM, RUST, NR_RECOVERIES };

static const char * const recoveries[NR_RECOVERIES] = { "xa-zero", "upstream", "rust" };

#define HOLD_MS		"60000"

static const char * const thread_text[] = { "?", "goes on", "waits", "is lost" };

static const char *hold_one(int who, const char *at, int index, enum thread thread,
			    struct look *look)
{
	struct job job = { .thread = thread };
	struct dm_record rec;
	const char *why = dm_use_recovery(recoveries[who]);
	int err = 0, status;
	pid_t pid;

	if (!*why && (dm_write(DM_HOLD "timeout-ms", HOLD_MS) || dm_write(DM_HOLD "at", at)))
		why = "it cannot be held";
	if (!*why)
		why = dm_arm(DM_VM_AREA_DUP, index, 0);
	if (*why)
		return why;
	if (!give_job(&job))
		return "there is no outsider";
	pid = dm_fork(&err);
	if (pid > 0)
		waitpid(pid, &status, 0);
	dm_disarm();
	if (!get_look(look))
		return "there is no outsider";
	if (pid > 0 || err != ENOMEM)
		return "it did not fail";
	if (!look->held)
		return "it was not held";
	why = dm_get_record(&rec);
	if (!*why && (rec.index != index || strcmp(rec.recovery, recoveries[who])))
		why = "the record is of another";
	return why;
}

/* What the outsider has found where this process has the VMA. */
static const char *found(const struct look *look, const struct dm_vma *vma)
{
	static const char * const entry[][2] = {
		{ "own", "copy" }, { "marker", "mark" }, { "parent", "the parent's!" },
	};
	char line[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(entry); i++) {
		snprintf(line, sizeof(line), "entry: %s %lx-%lx\n", entry[i][0], vma->start,
			 vma->end);
		if (strstr(look->text, line))
			return entry[i][1];
	}
	return "-";
}

/* What it has to find: all of it, or nothing. */
static const char *check_look(const struct look *look, int index, bool stale)
{
	static char want[sizeof(look->text)];
	const char *p = strstr(look->text, "entry: ") ?: strstr(look->text, "find-vma: ");
	int i, len = 0;

	for (i = 0; stale && i < maps.nr; i++)
		if (i >= index || !maps.vma[i].dontcopy)
			len += snprintf(want + len, sizeof(want) - len, "entry: %s %lx-%lx\n",
					i < index ? "own" : i > index ? "parent" : "marker",
					maps.vma[i].start, maps.vma[i].end);
	len += snprintf(want + len, sizeof(want) - len, "find-vma: %lx ",
			maps.vma[index].start);
	if (stale)
		len += snprintf(want + len, sizeof(want) - len, "parent %lx-%lx\n",
				maps.vma[index + 1].start, maps.vma[index + 1].end);
	else
		len += snprintf(want + len, sizeof(want) - len, "none\n");
	snprintf(want + len, sizeof(want) - len, "verdict: %s\n\n", stale ? "stale" : "clean");
	return p && !strcmp(p, want) ? "" : stale ? "they are not" : "there is something";
}

static void print_row(const char *nr, const char *what, const char *xa_zero,
		      const char *upstream, const char *rust)
{
	printf("  %5s  %-40s %-14s%-9s%s\n", nr, what, xa_zero, upstream, rust);
}

/* By number, of those that are the same to all three: their names were printed. */
static void print_looks(const struct look look[], int index)
{
	const char *cell[NR_RECOVERIES];
	char nr[16];
	int i, n, r;

	print_row("VMA", "", recoveries[0], recoveries[1], recoveries[2]);
	for (i = 0; i < maps.nr; i += n) {
		for (r = 0; r < NR_RECOVERIES; r++)
			cell[r] = found(&look[r], &maps.vma[i]);
		for (n = 1; i + n < maps.nr; n++) {
			for (r = 0; r < NR_RECOVERIES; r++)
				if (strcmp(cell[r], found(&look[r], &maps.vma[i + n])))
					break;
			if (r < NR_RECOVERIES)
				break;
		}
		snprintf(nr, sizeof(nr), n > 1 ? "%d-%d" : "%d", i, i + n - 1);
		print_row(nr, i == index ? "failed" : i > index ? "were to come after it" :
			  maps.vma[i].dontcopy ? kind_of(&maps.vma[i]) : "came before the failure",
			  cell[0], cell[1], cell[2]);
	}
}

static const char *find_vma_text(const struct look *look)
{
	const char *p = strstr(look->text, "find-vma: ");

	if (!p)
		return "?";
	return strstr(p, " parent ") ? "the parent's!" : strstr(p, " none\n") ? "nothing" : "?";
}

static const char about_window[] =
	"\n4. The window: the fork of 1. again, and what others find of its child\n"
	"The child never runs, but others come by its memory: swapoff, uprobes, the OOM\n"
	"killer. Linux 6.8 to 6.19 (xa-zero) left a mark where the copying had failed,\n"
	"dropped the locks, and did the rest later. Today's C code (upstream) and the\n"
	"module (rust) empty the child before they drop its lock. Then a fork is held:\n"
	"    echo after-unlock >../hold/at; (true) &    cat ../hold/observe\n";

static const char about_looks[] =
	"  copy           a VMA of the child\n"
	"  mark           no VMA: XA_ZERO_ENTRY\n"
	"  the parent's!  a VMA of this process, which may free it at any time\n"
	"Who follows one of the last two can crash the kernel: CVE-2025-21709 and others.\n"
	"The thread is asked while the child is taken apart, or still has to be (hold/at:\n"
	"after-unlock, after-recovery, %s). It waits for the parent's lock.\n";

static const char about_um[] =
	"On User Mode Linux it waits with rust, too. On other machines it does not.\n";

void show_window(int index)
{
	/* Where others can look; and while the child is taken apart. */
	static struct look look[NR_RECOVERIES], busy[NR_RECOVERIES];
	bool early = dm_lets_go_early("rust");
	const char *busy_at = early ? "parent-unlocked" : "after-recovery";
	static struct dm_counters before;
	const struct job end = { .last = true };
	const char *why, *was = strdupa(dm_recovery());
	const enum thread wanted[NR_RECOVERIES] = { GOES_ON, WAITS, early ? GOES_ON : WAITS };
	pid_t outsider;
	int r, status;

	printf("%s", about_window);
	dm_get_counters(&before);
	outsider = start_outsider();
	why = outsider < 0 ? strerror(errno) : "";
	for (r = 0; !*why && r < NR_RECOVERIES; r++)
		why = hold_one(r, "after-unlock", index, r == XA_ZERO ? GOES_ON : NOT_ASKED,
			       &look[r]);
	/* With xa-zero that is the same moment: what is left is taken apart after it. */
	busy[XA_ZERO] = look[XA_ZERO];
	if (!*why)
		why = hold_one(UPSTREAM, "after-recovery", index, WAITS, &busy[UPSTREAM]);
	if (!*why)
		why = hold_one(RUST, busy_at, index, wanted[RUST], &busy[RUST]);
	if (outsider > 0 && give_job(&end))
		waitpid(outsider, &status, 0);
	dm_reset();
	if (*dm_use_recovery(was))
		why = "the recovery cannot be set back";
	verdict("each fork failed with ENOMEM and was held", why);
	if (*why)
		return;

	print_looks(look, index);
	print_row("", "find_vma() from the failure on", find_vma_text(&look[0]),
		  find_vma_text(&look[1]), find_vma_text(&look[2]));
	print_row("", "another thread of the parent maps memory", thread_text[busy[0].thread],
		  thread_text[busy[1].thread], thread_text[busy[2].thread]);
	printf(about_looks, busy_at);
	if (!early)
		printf("%s", about_um);
	verdict("xa-zero: the mark and the parent's VMAs are there to be found",
		check_look(&look[XA_ZERO], index, true));
	verdict("upstream: nothing is there to be found",
		check_look(&look[UPSTREAM], index, false));
	verdict("rust: nothing is there to be found", check_look(&look[RUST], index, false));
	for (r = 0; r < NR_RECOVERIES; r++)
		if (busy[r].thread != wanted[r])
			why = recoveries[r];
	verdict(early ? "the thread waits for upstream, and not for rust" :
			"the thread waits for both upstream and rust", why);
	verdict("the process still has its VMAs and its data", check_memory());
	if (!dm_uncountable())
		verdict("Committed_AS, page tables and kernel objects are as before",
			dm_check_counters(&before, DM_PATIENT));
}
