// SPDX-License-Identifier: GPL-2.0
/*
 * A fork of as many VMAs as a process may have fails when the last one, one in the
 * middle or only the first one has been copied, under both recoveries. In the long
 * form it may have 300,000, and then fork has 3 GiB of small pages to copy and to
 * give back, or half of what there is.
 *
 * A kernel that checks all VMAs of a process after each change of one
 * (CONFIG_DEBUG_VM_MAPLE_TREE) gets a thousand: it needs more than an hour to
 * build all. With KASAN alone a process may have fewer than usual.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dup_mmap.h"

#define MAX_MAP_COUNT	"/proc/sys/vm/max_map_count"
#define FEW		1000
#define FEWER		10000
#define MANY		300000
#define MUCH		(3ul << 30)
#define LITTLE		(32ul << 20)
#define POINT		DM_COPY_PAGE_RANGE

static const char * const recoveries[] = { "rust", "upstream" };

/* Page by page one VMA, every second one can be written and is accounted. */
static struct {
	char *addr;
	long nr;
	int at;			/* index of the first one */
	size_t len;
} area;

static struct dm_maps maps;	/* without these */
static long page;

static bool kernel_has(const char *symbol)
{
	char line[512];
	FILE *f = fopen("/proc/kallsyms", "re");
	bool found = false;
	const char *p;

	while (f && !found && fgets(line, sizeof(line), f)) {
		p = strrchr(line, ' ');
		found = p && !strncmp(p + 1, symbol, strlen(symbol)) &&
			p[1 + strlen(symbol)] == '\n';
	}
	if (f)
		fclose(f);
	return found;
}

static void may_have(long nr)
{
	char text[16];

	snprintf(text, sizeof(text), "%ld", nr);
	dm_write_path(MAX_MAP_COUNT, text);
}

/* How many there are to be. */
static long how_many(void)
{
	if (kernel_has("validate_mm"))
		return FEW;
	/* On um the host has the last word. */
	if (dm_long_form() && !dm_is_um())
		may_have(MANY);
	else if (!dm_long_form() && kernel_has("kasan_report"))
		may_have(FEWER);
	return dm_read_number(MAX_MAP_COUNT);
}

/* As many as there may be, or one less. */
static const char *build(void)
{
	long max = how_many(), i;
	const char *why;

	page = sysconf(_SC_PAGESIZE);
	if (max < 0)
		return "no " MAX_MAP_COUNT;
	area.len = (max + 2) * page;
	area.addr = mmap(NULL, area.len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area.addr == MAP_FAILED)
		return "mmap failed";
	/* With the one for all of them, which will be the last one there. */
	why = dm_get_maps_and_flags(&maps);
	if (*why)
		return why;
	area.at = dm_index_of(&maps, area.addr);
	if (maps.vma[area.at].start != (uintptr_t)area.addr)
		return "it is no VMA of its own";
	for (i = 1; maps.nr + i < max; i += 2) {
		if (mprotect(area.addr + i * page, page, PROT_READ | PROT_WRITE))
			return "mprotect failed";
		/* In each page table a few. */
		if (i % 128 == 1)
			area.addr[i * page] = 1;
	}
	area.nr = i - 1;
	return "";
}

/* How many there really are, and a sum of all that is said about them. */
static long count_vmas(unsigned long long *sum)
{
	static char text[65536];
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	ssize_t n, i;
	long nr = 0;

	*sum = 0;
	while ((n = read(fd, text, sizeof(text))) > 0) {
		for (i = 0; i < n; i++) {
			nr += text[i] == '\n';
			*sum = *sum * 31 + (unsigned char)text[i];
		}
	}
	close(fd);
	return n ? -1 : nr;
}

/* VMAs and accounted pages of those that are copied up to this one. */
static void expect(long index, unsigned long *copied, unsigned long *accounted)
{
	long own = index - area.at + 1;		/* of the area */
	int i;

	if (own < 0)
		own = 0;
	if (own > area.nr)
		own = area.nr;
	*copied = own;
	*accounted = own / 2;
	for (i = 0; i < maps.nr && i + (i < area.at ? 0 : area.nr) <= index; i++) {
		const struct dm_vma *vma = &maps.vma[i];

		if (vma->dontcopy)
			continue;
		++*copied;
		if (vma->account)
			*accounted += (vma->end - vma->start) / page;
	}
}

static const char *judge(const char *recovery, long index, long last,
			 const struct dm_shot *shot)
{
	unsigned long copied, accounted;
	static char text[256];
	struct dm_record rec;
	const char *why;

	if (shot->err != ENOMEM)
		return "fork() did not say ENOMEM";
	if (dm_read_number(dm_path(DM_FAIL "times")))
		return "it has not failed there";
	why = dm_get_record(&rec);
	if (*why)
		return why;
	expect(index, &copied, &accounted);
	if (strcmp(rec.point, dm_points[POINT].name) || rec.index != index ||
	    rec.injected != 'y')
		return "the record is of another failure";
	if (strcmp(rec.recovery, recovery))
		return "the record is of the other recovery";
	if (strcmp(rec.class, index == last ? "all" : "partial"))
		return "the class is wrong";
	if (rec.copied == copied && rec.torn_down == copied && rec.uncharged == accounted)
		return "";
	snprintf(text, sizeof(text),
		 "%lu copied, %lu torn down, %lu pages uncharged, expected %lu, %lu, %lu",
		 rec.copied, rec.torn_down, rec.uncharged, copied, copied, accounted);
	return text;
}

static const char *fail_at(const char *recovery, long index, long last)
{
	struct dm_tries tries = { 0 };
	struct dm_shot shot;
	const char *why;

	do {
		why = dm_arm(POINT, index, 0);
		if (!*why)
			why = dm_watch_fork(&shot, NULL, NULL);
		if (!*why)
			why = judge(recovery, index, last, &shot);
		dm_disarm();
		if (*why)
			return why;
		why = dm_moved(&shot);
	} while (dm_try_again(&tries, *why));
	return why;
}

/* Small pages, each used. NULL: there is no memory. */
static char *use_memory(size_t len)
{
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, len, MADV_NOHUGEPAGE);
	return madvise(p, len, MADV_POPULATE_WRITE) ? NULL : p;
}

/* Every page of it is copied, and then the fork fails. */
static const char *give_back(const char *recovery, size_t len)
{
	static struct dm_series series;
	struct dm_record rec;
	char *p = use_memory(len);
	const char *why;
	double t;

	if (!p)
		return "there is no memory";
	dm_use_recovery(recovery);
	why = dm_begin_series(&series, recovery);
	t = dm_seconds();
	if (!*why)
		why = dm_shoot(&series, DM_ARCH_DUP_MMAP, -1, 0, &rec);
	dm_end_series();
	if (!*why && rec.uncharged < len / page)
		why = "the pages were not given back to the commit limit";
	ksft_print_msg("%zu MB: %.1f s\n", len >> 20, dm_seconds() - t);
	munmap(p, len);
	return why;
}

/* Half of what can be had at most: who has none left is killed. */
static size_t how_much(void)
{
	static char text[8192];
	size_t there, want = dm_long_form() ? MUCH : LITTLE;
	const char *p;

	dm_read_path("/proc/meminfo", text, sizeof(text));
	p = strstr(text, "MemAvailable:");
	there = p ? strtoul(p + strlen("MemAvailable:"), NULL, 10) << 9 : 0;
	return (there < want ? there : want) & -page;
}

int main(void)
{
	static struct dm_counters before;
	static struct dm_cgroup cgroup;
	unsigned long long sum[2];
	unsigned long taint;
	struct dm_saved saved;
	const char *why;
	long nr, at[3];
	size_t r, i, len;
	double t;
	char *p;

	dm_skip_unless_available();
	dm_skip_unless_countable(&cgroup);
	ksft_print_header();
	ksft_set_plan(1 + ARRAY_SIZE(recoveries) * (ARRAY_SIZE(at) + 1) + 3);
	dm_save(&saved);
	taint = dm_taint();
	t = dm_seconds();
	why = build();
	if (*why)
		ksft_print_msg("%s\n", why);
	nr = count_vmas(&sum[0]);
	ksft_print_msg("%ld VMAs in %.1f s\n", nr, dm_seconds() - t);
	ksft_test_result(!*why && nr == maps.nr + area.nr, "there are many VMAs\n");
	at[0] = nr - 1;
	at[1] = area.at + area.nr / 2;
	at[2] = 0;
	dm_get_counters(&before);
	for (r = 0; r < ARRAY_SIZE(recoveries); r++) {
		dm_use_recovery(recoveries[r]);
		for (i = 0; i < ARRAY_SIZE(at); i++) {
			why = fail_at(recoveries[r], at[i], nr - 1);
			if (*why)
				ksft_print_msg("%s\n", why);
			ksft_test_result(!*why && dm_taint() == taint, "%s, %s\n",
					 recoveries[r],
					 i == 0 ? "the last one" :
					 i == 1 ? "in the middle" : "the first one");
		}
	}
	ksft_test_result(count_vmas(&sum[1]) == nr && sum[0] == sum[1],
			 "the parent still has them\n");
	why = dm_check_counters(&before, DM_PATIENT);
	if (*why)
		ksft_print_msg("%s\n", why);
	ksft_test_result(!*why, "nothing is lost\n");

	munmap(area.addr, area.len);
	/* This process's own tree may have a node more when that is unmapped again. */
	len = how_much();
	p = use_memory(len);
	if (p)
		munmap(p, len);
	dm_get_counters(&before);
	for (r = 0; r < ARRAY_SIZE(recoveries); r++) {
		why = give_back(recoveries[r], how_much());
		if (*why)
			ksft_print_msg("%s\n", why);
		ksft_test_result(!*why && dm_taint() == taint, "%s, much memory\n",
				 recoveries[r]);
	}
	why = dm_check_counters(&before, DM_PATIENT);
	if (*why)
		ksft_print_msg("%s\n", why);
	ksft_test_result(!*why, "nothing of the memory is lost\n");
	dm_restore(&saved);
	dm_cgroup_leave(&cgroup);
	ksft_finished();
}
