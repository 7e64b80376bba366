// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"

#include "io.h"
#include "say.h"
#include "settings.h"
#include "swap.h"

/* There while a program runs, and after it if it was killed. */
#define LEFT			"/run/dup_mmap_recovery"

const char * const dm_recoveries[DM_NR_RECOVERIES] = {
	[DM_RUST]		= "rust",
	[DM_UPSTREAM]		= "upstream",
	[DM_XA_ZERO]		= "xa-zero",
	[DM_XA_ZERO_BARE]	= "xa-zero-bare",
};

const char * const dm_at_names[DM_NR_AT] = {
	[DM_AT_NONE]		= "none",
	[DM_AT_BEFORE]		= "before-recovery",
	[DM_AT_PARENT]		= "parent-unlocked",
	[DM_AT_AFTER]		= "after-recovery",
	[DM_AT_UNLOCKED]	= "after-unlock",
	[DM_AT_PINNED]		= "pinned",
};

bool dm_long_form(void)
{
	const char *text = getenv("DUP_MMAP_LONG");

	return text && *text;
}

bool dm_is_um(void)
{
	static char text[65536];

	/* It does not change. */
	if (!text[0])
		dm_read_path("/proc/cpuinfo", text, sizeof(text));
	return strstr(text, "User Mode Linux");
}

bool dm_in_full(void)
{
	return dm_long_form() || dm_is_um();
}

const char *dm_unavailable(void)
{
	static const char * const needed[] = {
		"recovery", "points", "last", "stats", "reset",
		DM_FAIL "probability", DM_FAIL "times", DM_FAIL "interval",
		DM_FAIL "space", DM_FAIL "verbose", DM_FAIL "task-filter",
		DM_FAIL "point", DM_FAIL "vma-index", DM_FAIL "errno",
	};
	size_t i;

	if (geteuid())
		return "needs root";
	if (access(DM_DIR, F_OK))
		return "no " DM_DIR ": debugfs not mounted, or module not loaded";
	for (i = 0; i < ARRAY_SIZE(needed); i++)
		if (access(dm_path(needed[i]), F_OK))
			return say("no %s", dm_path(needed[i]));
	if (access("/proc/self/make-it-fail", F_OK))
		return "no /proc/self/make-it-fail (CONFIG_FAULT_INJECTION)";
	if (access("/proc/self/smaps", F_OK))
		return "no /proc/self/smaps (CONFIG_PROC_PAGE_MONITOR)";
	return NULL;
}

/* What programs change of the whole system, in the order in which it is put back. */
static const char * const of_system[] = {
	"/sys/kernel/debug/failslab/probability",
	"/sys/kernel/debug/fail_page_alloc/probability",
	OVERCOMMIT_RATIO,
	OVERCOMMIT_KBYTES,
	OVERCOMMIT_MEMORY,
	"/proc/sys/vm/nr_hugepages",
	"/proc/sys/vm/max_map_count",
	"/sys/kernel/mm/ksm/pages_to_scan",
	"/sys/kernel/mm/ksm/run",
};

static struct {
	char text[ARRAY_SIZE(of_system)][32], recovery[16];
} was;

static pid_t owner;

static void put_back(void)
{
	size_t i;

	dm_reset();
	dm_use_recovery(was.recovery);
	for (i = 0; i < ARRAY_SIZE(of_system); i++) {
		/* 0 kB: it is the ratio that counts. */
		if (!strcmp(of_system[i], OVERCOMMIT_KBYTES) && !strcmp(was.text[i], "0\n"))
			continue;
		if (was.text[i][0])
			dm_write_path(of_system[i], was.text[i]);
	}
}

/* Also when the harness has killed a test for its time limit. */
static void at_end(void)
{
	if (getpid() != owner)
		return;
	put_back();
	unlink(LEFT);
}

/* A program that was killed itself leaves what there was to the next one. */
static void begin(void)
{
	int fd = open(LEFT, O_RDONLY | O_CLOEXEC);
	size_t i;

	if (fd >= 0 && read(fd, &was, sizeof(was)) == sizeof(was)) {
		put_back();
		dm_swap_off();
	} else {
		for (i = 0; i < ARRAY_SIZE(of_system); i++)
			dm_read_path(of_system[i], was.text[i], sizeof(was.text[i]));
		snprintf(was.recovery, sizeof(was.recovery), "%s", dm_recovery());
		close(fd);
		fd = open(LEFT, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (fd < 0 || write(fd, &was, sizeof(was)) != sizeof(was))
			unlink(LEFT);
	}
	close(fd);
	owner = getpid();
	atexit(at_end);
}

void dm_skip_unless_available(void)
{
	const char *why;

	if (access(DM_DIR, F_OK) && !access(LEFT, F_OK) &&
	    system("modprobe " DM_MODULE " 2>/dev/null"))
		ksft_print_msg("the module was left unloaded, and cannot be loaded\n");
	why = dm_unavailable();
	if (!why) {
		begin();
		return;
	}
	ksft_print_header();
	ksft_exit_skip("%s\n", why);
}

const char *dm_recovery(void)
{
	static char name[16];
	char buf[64], *active;

	dm_read("recovery", buf, sizeof(buf));
	active = dm_bracketed(buf);
	snprintf(name, sizeof(name), "%s", active ? active : "");
	return name;
}

const char *dm_use_recovery(const char *name)
{
	int ret = dm_write("recovery", name);

	if (ret)
		return say("writing %s to recovery: %s", name, strerror(-ret));
	if (strcmp(dm_recovery(), name))
		return say("recovery is '%s' after writing %s", dm_recovery(), name);
	return "";
}

void dm_reset(void)
{
	dm_write_path("/proc/self/make-it-fail", "0");
	dm_write("reset", "1");
}

void dm_save(struct dm_saved *saved)
{
	dm_reset();
	snprintf(saved->recovery, sizeof(saved->recovery), "%s", dm_recovery());
}

void dm_restore(const struct dm_saved *saved)
{
	dm_reset();
	if (saved->recovery[0])
		dm_use_recovery(saved->recovery);
}

struct setting {
	const char *name, *text;
};

static const char *write_settings(const struct setting *s, size_t nr)
{
	int ret;

	for (; nr; nr--, s++) {
		ret = dm_write(s->name, s->text);
		if (ret)
			return say("writing %s to %s: %s", s->text, s->name,
				   strerror(-ret));
	}
	return "";
}

const char *dm_arm_nothing(void)
{
	static const struct setting settings[] = {
		{ DM_FAIL "times", "0" },
		{ DM_FAIL "task-filter", "Y" },
		{ DM_FAIL "verbose", "0" },	/* no stack dump on the console */
		{ DM_FAIL "probability", "100" },
	};
	const char *why = write_settings(settings, ARRAY_SIZE(settings));
	int ret;

	if (*why)
		return why;
	ret = dm_write_path("/proc/self/make-it-fail", "1");
	return ret ? say("writing make-it-fail: %s", strerror(-ret)) : "";
}

const char *dm_aim(enum dm_point point, int index, int err)
{
	char nr[16], error[16];
	const struct setting settings[] = {
		{ DM_FAIL "point", dm_points[point].name },
		{ DM_FAIL "vma-index", nr },
		{ DM_FAIL "errno", error },
		{ DM_FAIL "times", "1" },
	};

	snprintf(nr, sizeof(nr), "%d", index);
	snprintf(error, sizeof(error), "%d", err);
	return write_settings(settings, ARRAY_SIZE(settings));
}

const char *dm_arm(enum dm_point point, int index, int err)
{
	const char *why = dm_arm_nothing();

	return *why ? why : dm_aim(point, index, err);
}

void dm_disarm(void)
{
	dm_write_path("/proc/self/make-it-fail", "0");
	dm_write(DM_FAIL "probability", "0");
}
