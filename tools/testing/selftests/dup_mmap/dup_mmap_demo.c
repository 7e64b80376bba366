// SPDX-License-Identifier: GPL-2.0
/*
 * A fork() that fails half way, three times, and what the kernel did about it. Then it
 * is held half way, and another process looks at what there is.
 *
 * usage: dup_mmap_demo [-k]	(as root, module loaded; -k keeps it loaded)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dup_mmap.h"
#include "demo_parts/demo.h"

static struct dm_layout own[5];
static const enum dm_kind kinds[] = {
	DM_ANON, DM_FILE_PRIVATE, DM_MEMFD_SHARED, DM_DONTFORK, DM_WIPEONFORK,
};

static const char * const kind_text[DM_NR_KINDS] = {
	[DM_ANON]		= "anonymous memory of the demo",
	[DM_FILE_PRIVATE]	= "private mapping of a file",
	[DM_MEMFD_SHARED]	= "shared, writable mapping of a file",
	[DM_DONTFORK]		= "MADV_DONTFORK: the child does not get it",
	[DM_WIPEONFORK]		= "MADV_WIPEONFORK: empty in the child",
};

struct dm_maps maps;
static int bad;

const char *kind_of(const struct dm_vma *vma)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(own); i++)
		if (vma->start == (unsigned long)own[i].addr)
			return kind_text[own[i].kind];
	if (vma->no_access)
		return "(keeps the others apart)";
	if (!strncmp(vma->name, "[v", 2))
		return "vvar and vdso, from the kernel";
	if (vma->name[0] == '[')
		return vma->name;
	if (vma->name[0] == '/')
		return "this program";
	return "anonymous memory";
}

static void print_vmas(void)
{
	const char *kind;
	char nr[16];
	int i, n;

	printf("fork() copies the %d VMAs of this process (pid %d), one by one:\n",
	       maps.nr, getpid());
	for (i = 0; i < maps.nr; i += n) {
		kind = kind_of(&maps.vma[i]);
		for (n = 1; i + n < maps.nr; n++)
			if (strcmp(kind, kind_of(&maps.vma[i + n])))
				break;
		snprintf(nr, sizeof(nr), n > 1 ? "%d-%d" : "%d", i, i + n - 1);
		printf("  %5s  %012lx-%012lx  %s\n", nr, maps.vma[i].start,
		       maps.vma[i + n - 1].end, kind);
	}
}

/* The record, in two columns. */
static void print_record(void)
{
	static char text[4096];
	char *line, *next, *at[32];
	int n = 0, half, i;

	if (dm_read("last", text, sizeof(text)) <= 0)
		return;
	for (line = text; *line && n < 32; line = next) {
		at[n++] = line;
		next = strchr(line, '\n');
		if (!next)
			break;
		*next++ = '\0';
	}
	half = (n + 1) / 2;
	printf("The module's record (cat ../last):\n");
	for (i = 0; i < half; i++)
		printf("    %-38s%s\n", at[i], i + half < n ? at[i + half] : "");
}

void verdict(const char *what, const char *why)
{
	printf("  %-8s%s%s%s\n", *why ? "BAD" : "ok", what, *why ? ": " : "", why);
	if (*why)
		bad++;
}

const char *check_memory(void)
{
	static struct dm_maps now;
	const char *why = dm_get_maps(&now);
	size_t i;

	if (*why)
		return why;
	if (now.len != maps.len || memcmp(now.text, maps.text, now.len))
		return "its VMAs changed";
	for (i = 0; i < ARRAY_SIZE(own); i++)
		if (*dm_check_layout(&own[i]))
			return "its memory changed";
	return "";
}

static void fail_at(enum dm_point point, int index, const char *title)
{
	static struct dm_counters before;
	static struct dm_expect want;
	static struct dm_record rec;
	const char *why, *armed;
	int err, status, i;
	pid_t pid;

	dm_model(&maps, point, index, 0, &want);
	/* Others may allocate at the same time: a leak is there every time. */
	for (i = 0; i < 3; i++) {
		dm_get_counters(&before);
		armed = dm_arm(point, index, 0);
		err = 0;
		pid = *armed ? -1 : dm_fork(&err);
		if (pid > 0)
			waitpid(pid, &status, 0);
		dm_disarm();
		if (*armed || pid > 0)
			break;
		if (!*dm_check_counters(&before, 0))
			break;
	}

	printf("\n%s\n", title);
	printf("    echo %s >point; echo %d >vma-index; echo 1 >times\n",
	       dm_points[point].name, index);
	printf("    echo Y >task-filter; echo 1 >/proc/self/make-it-fail\n");
	printf("    echo 100 >probability; (true)\n");
	if (*armed) {
		verdict("armed", armed);
		return;
	}
	if (pid > 0)
		printf("The process saw:  fork() = %d\n", pid);
	else
		printf("The process saw:  fork() = -1, %s (%s)\n",
		       err == ENOMEM ? "ENOMEM" : "not ENOMEM", strerror(err));
	print_record();
	why = dm_get_record(&rec);
	if (rec.copied)
		printf("In words: %lu VMAs were copied, %lu undone; %lu pages given back.\n",
		       rec.copied, rec.torn_down, rec.uncharged);
	else
		printf("In words: it failed before a VMA was copied, nothing to undo.\n");
	if (pid > 0 || err != ENOMEM)
		verdict("fork() failed with ENOMEM", "it did not");
	if (!*why)
		why = dm_compare(&maps, &want, point, dm_recovery(), &rec);
	verdict("the record says what must have happened", why);
	verdict("the process still has its VMAs and its data", check_memory());
	why = dm_uncountable();
	if (why)
		printf("  (kernel objects and page tables are not counted: %s)\n", why);
	else
		verdict("Committed_AS, page tables and kernel objects are as before",
			dm_check_counters(&before, DM_PATIENT));
}

static void clean_fork(void)
{
	printf("\nNothing armed: fork() as ever\n");
	verdict("fork() worked, the child found the parent's data",
		dm_check_clean_fork(&own[0]));
}

static void unload(void)
{
	int status, err;
	pid_t pid;

	printf("\nUnloading the module (rmmod %s)\n", DM_MODULE);
	if (syscall(__NR_delete_module, DM_MODULE, O_NONBLOCK)) {
		verdict("unloaded", strerror(errno));
		return;
	}
	verdict("its files are gone", access(DM_DIR, F_OK) ? "" : "they are not");
	pid = dm_fork(&err);
	if (pid > 0)
		waitpid(pid, &status, 0);
	verdict("fork() works; the kernel is back to its own code",
		pid > 0 ? "" : strerror(err));
}

int main(int argc, char **argv)
{
	static struct dm_cgroup cgroup;
	const char *why;
	bool keep = false;
	size_t i;
	int opt, middle, last;

	while ((opt = getopt(argc, argv, "k")) != -1) {
		if (opt != 'k') {
			fprintf(stderr, "usage: %s [-k]\n", argv[0]);
			return 1;
		}
		keep = true;
	}
	dm_with_room_above(argv);
	why = dm_unavailable();
	if (why) {
		fprintf(stderr, "%s: %s\n", argv[0], why);
		return 4;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* Where nobody else's page tables count. */
	dm_cgroup_enter(&cgroup);

	for (i = 0; i < ARRAY_SIZE(own); i++) {
		why = dm_build(&own[i], kinds[i], i ? DM_MIDDLE : DM_LAST);
		if (why && !i) {
			/* Where programs get no address above their stack. */
			printf("(The last VMA is not one of the demo's: %s.)\n", why);
			why = dm_build(&own[i], kinds[i], DM_MIDDLE);
		}
		if (why) {
			fprintf(stderr, "%s: %s: %s\n", argv[0],
				kind_text[kinds[i]], why);
			return 1;
		}
	}
	dm_reset();
	why = start_thread();
	if (!*why)
		why = dm_get_maps_and_flags(&maps);
	if (*why) {
		fprintf(stderr, "%s: %s\n", argv[0], why);
		return 1;
	}

	print_vmas();
	printf("If that fails half way, the copies must be undone, here by %s.\n",
	       strcmp(dm_recovery(), "rust") ? "upstream's C code" :
					       "the module, in Rust");
	printf("To do the same to a shell (its VMAs are other ones, see /proc/self/maps):\n");
	printf("    cd %s/fail_dup_mmap\n", DM_DIR);

	/* After dm_build() the index of the VMA of the shared file may be old. */
	for (middle = 0; middle < maps.nr; middle++)
		if (maps.vma[middle].start == (unsigned long)own[2].addr)
			break;
	fail_at(DM_VM_AREA_DUP, middle,
		"1. No memory for the struct of a VMA in the middle (vm-area-dup)");
	for (last = maps.nr - 1; !dm_reached(DM_COPY_PAGE_RANGE, &maps.vma[last]); last--)
		;
	fail_at(DM_COPY_PAGE_RANGE, last,
		"2. No memory for the page tables of the last VMA (copy-page-range)");
	fail_at(DM_MT_DUP, -1,
		"3. No memory for the tree that holds the VMAs (mt-dup): nothing to take back");
	clean_fork();
	show_window(middle);
	dm_reset();
	if (!keep)
		unload();

	dm_cgroup_leave(&cgroup);
	printf("%s\n", bad ? "Something is BAD, see above." : "All is well.");
	return !!bad;
}
