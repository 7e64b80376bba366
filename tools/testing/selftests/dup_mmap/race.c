// SPDX-License-Identifier: GPL-2.0
/*
 * No kselftest: runs one outsider while a failed fork is held where the kernel dies of
 * it, if the child is left as Linux 6.8 to 6.13 left it. scripts/check-race expects the
 * kernel to die.
 *
 *	race swapoff|uprobe RECOVERY
 *
 * Last line: "OUTSIDER, RECOVERY: survived", or what is wrong.
 */
#include <stdio.h>
#include <string.h>

#include "dup_mmap.h"

/* For the kernel's log, which is what is left of it. */
static void note(const char *what)
{
	char text[128];

	snprintf(text, sizeof(text), "dup_mmap: %s is let in\n", what);
	dm_write_path("/dev/kmsg", text);
}

static const char *let_in(const char *what, bool swap)
{
	enum dm_outsider who = swap ? DM_SWAPOFF : DM_PERF;
	struct dm_worker *w = &dm_scene->outsider[who];
	const char *why = swap ? dm_swap_on() ?: "" : "";

	if (!*why)
		why = dm_hold_victim(swap ? DM_SWAP : DM_NOTHING, 1 << who);
	if (!*why)
		why = dm_check_view();
	if (*why)
		return why;
	note(what);
	dm_tell(w);
	if (!dm_wait_until(swap ? dm_nothing_is_swapped : dm_is_done, w))
		return "it does not get in";
	return dm_holds() ? "" : "the fork is held no more";
}

static const char *race(const char *what, const char *recovery)
{
	bool swap = !strcmp(what, "swapoff");
	const char *why = dm_unavailable() ?: "", *ended;

	if (!*why && !swap)
		why = dm_no_uprobes() ?: "";
	if (!*why)
		why = dm_use_recovery(recovery);
	if (!*why)
		why = dm_make_scene(recovery, swap ? DM_AT_UNLOCKED : DM_AT_PINNED, NULL);
	if (*why)
		return why;
	why = let_in(what, swap);
	ended = dm_end_scene(false);
	dm_clean_scene();
	return *why ? why : ended;
}

int main(int argc, char **argv)
{
	const char *why;

	if (argc != 3) {
		fprintf(stderr, "usage: %s swapoff|uprobe RECOVERY\n", argv[0]);
		return 2;
	}
	why = race(argv[1], argv[2]);
	printf("%s, %s: %s\n", argv[1], argv[2], *why ? why : "survived");
	return !!*why;
}
