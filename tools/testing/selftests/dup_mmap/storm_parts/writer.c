// SPDX-License-Identifier: GPL-2.0
/* Writes to each file of the module, values that it takes and values that it refuses. */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storm.h"

/* Where a value is given twice, more forks fail. */
static const struct knob {
	const char *name, *value[4];
	bool takes_words;		/* any, as fault attributes do */
} knobs[] = {
	{ "recovery", { "rust", "upstream", "xa-zero", "rust" } },
	{ "reset", { "1", "0", "reset", "" }, true },
	{ DM_HOLD "at", { "before-recovery", "after-recovery", "pinned", "after-unlock" } },
	{ DM_HOLD "timeout-ms", { "1", "20", "50", "0x10" } },
	{ DM_HOLD "release", { "all", "all", "all", "all" } },
	{ DM_FAIL "point", { "any", "copy-page-range", "vm-area-dup", "arch-dup-mmap" } },
	{ DM_FAIL "vma-index", { "-1", "0", "2", "-1" } },
	{ DM_FAIL "vma-addr", { "0", "0", "0x10000", "0" } },
	{ DM_FAIL "errno", { "0", "-12", "-4", "-4095" } },
	{ DM_FAIL "alloc-nth", { "0", "1", "0", "0" } },
	{ DM_FAIL "recovery-alloc-nth", { "0", "1", "2", "2147483647" } },
	{ DM_FAIL "per-fork", { "Y", "N", "1", "n" } },
	{ DM_FAIL "seed", { "0", "1", "2147483647", "0x1f" } },
	{ DM_FAIL "dry-run", { "Y", "N", "N", "n" } },
	{ DM_FAIL "probability", { "100", "2", "0", "5" } },
	{ DM_FAIL "interval", { "1", "2", "1", "1" } },
	{ DM_FAIL "times", { "-1", "1", "1000", "-1" } },
	{ DM_FAIL "space", { "0", "1", "0", "0" } },
	/* With more than that each failure is a page of the kernel's log. */
	{ DM_FAIL "verbose", { "0", "0", "0", "0" } },
	{ DM_FAIL "verbose_ratelimit_interval_ms", { "1000", "5000", "1000", "10000" } },
	{ DM_FAIL "verbose_ratelimit_burst", { "1", "2", "1", "0" } },
	{ DM_FAIL "task-filter", { "Y", "Y", "N", "Y" }, true },
	{ DM_FAIL "stacktrace-depth", { "0", "32", "0", "0" } },
	{ DM_FAIL "require-start", { "0", "0", "0", "0" } },
	{ DM_FAIL "require-end",
	  { "0xffffffffffffffff", "0xffffffffffffffff", "0x1000", "0xffffffffffffffff" } },
	{ DM_FAIL "reject-start", { "0", "0", "0x1000", "0" } },
	{ DM_FAIL "reject-end", { "0", "0", "0x2000", "0" } },
};

#define MAX_FILES	64

/* What there is to write to: found, not known. */
static struct {
	char name[64];
	const struct knob *knob;
} files[MAX_FILES];

static int nr_files;

static int note_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	size_t i;

	if (type != FTW_F || !(st->st_mode & 0222))
		return 0;
	if (nr_files == MAX_FILES)
		return 1;
	snprintf(files[nr_files].name, sizeof(files->name), "%s", path + strlen(DM_DIR "/"));
	for (i = 0; i < ARRAY_SIZE(knobs); i++)
		if (!strcmp(knobs[i].name, files[nr_files].name))
			files[nr_files].knob = &knobs[i];
	nr_files++;
	return 0;
}

const char *find_files(void)
{
	int i;

	if (nftw(DM_DIR, note_file, 8, FTW_PHYS))
		return "the files of the module cannot be listed";
	for (i = 0; i < nr_files; i++)
		if (!files[i].knob) {
			ksft_print_msg("%s\n", files[i].name);
			return "no value is known for a file";
		}
	return nr_files == ARRAY_SIZE(knobs) ? "" : "a file is missing";
}

static void print_file(const char *name)
{
	static char text[8192];
	char *line, *next = text;

	if (dm_read(name, text, sizeof(text)) <= 0)
		return;
	while ((line = strsep(&next, "\n")))
		if (*line)
			ksft_print_msg("    %s: %s\n", name, line);
}

void print_files(void)
{
	size_t i;

	/* The one who unloads may be who is stuck. */
	dm_open_under(NULL);
	for (i = 0; i < ARRAY_SIZE(knobs); i++)
		print_file(knobs[i].name);
	print_file("stats");
	print_file(DM_HOLD "held");
}

static void be_writer(int nr)
{
	/* The last one is too long. */
	static const char * const bad[] = {
		"no such value", "-", "1x",
		"a value that is longer than any that a file of this module would take",
	};
	const struct knob *knob;
	char pid[16];
	int i;

	snprintf(pid, sizeof(pid), "%d", getpid());
	while (!stopped()) {
		i = random_below(nr_files);
		knob = files[i].knob;
		doing("writes to %s", knob->name);
		if (random_below(4))
			put(knob->name, knob->value[random_below(4)], 0);
		else if (!strcmp(knob->name, DM_HOLD "release"))
			/* Its own fork, and it never forks. */
			put(knob->name, pid, -ESRCH);
		else if (knob->takes_words)
			put(knob->name, bad[random_below(ARRAY_SIZE(bad) - 1)], 0);
		else
			put(knob->name, bad[random_below(ARRAY_SIZE(bad))], -EINVAL);
	}
}

const struct kind writer = {
	"writer", NR_WRITERS, be_writer, true, false,
	{ "taken", "refused", "away", "(short of memory)" },
};
