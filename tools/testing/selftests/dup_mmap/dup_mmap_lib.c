// SPDX-License-Identifier: GPL-2.0
/* See dup_mmap.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dup_mmap.h"

const struct dm_point_info dm_points[DM_NR_POINTS] = {
	[DM_MMAP_WRITE_LOCK]	= { "mmap-write-lock",	 -EINTR,  true,  false },
	[DM_MT_DUP]		= { "mt-dup",		 -ENOMEM, true,  false },
	[DM_VMA_START_WRITE]	= { "vma-start-write",	 -EINTR,  true,  true },
	[DM_CLEAR_DONTCOPY]	= { "clear-dontcopy",	 -ENOMEM, true,  true },
	[DM_VM_ENOUGH_MEMORY]	= { "vm-enough-memory",	 -ENOMEM, false, true },
	[DM_VM_AREA_DUP]	= { "vm-area-dup",	 -ENOMEM, false, true },
	[DM_DUP_POLICY]		= { "dup-policy",	 -ENOMEM, false, true },
	[DM_DUP_USERFAULTFD]	= { "dup-userfaultfd",	 -ENOMEM, false, true },
	[DM_ANON_VMA_FORK]	= { "anon-vma-fork",	 -ENOMEM, false, true },
	[DM_COPY_PAGE_RANGE]	= { "copy-page-range",	 -ENOMEM, true,  true },
	[DM_ARCH_DUP_MMAP]	= { "arch-dup-mmap",	 -ENOMEM, true,  false },
};

enum dm_point dm_point_of(const char *name)
{
	enum dm_point p;

	for (p = 0; p < DM_NR_POINTS; p++)
		if (!strcmp(dm_points[p].name, name))
			break;
	return p;
}

const char * const dm_kind_names[DM_NR_KINDS] = {
	[DM_ANON]		= "anonymous",
	[DM_FILE_PRIVATE]	= "private file",
	[DM_FILE_SHARED]	= "shared file",
	[DM_DONTFORK]		= "DONTFORK",
	[DM_WIPEONFORK]		= "WIPEONFORK",
	[DM_AFTER_DONTFORK]	= "after DONTFORK",
	[DM_BEFORE_DONTFORK]	= "before DONTFORK",
};

const char * const dm_position_names[DM_NR_POSITIONS] = {
	[DM_FIRST]	= "first",
	[DM_MIDDLE]	= "middle",
	[DM_LAST]	= "last",
};

const char * const dm_counter_names[DM_NR_COUNTERS] = {
	[DM_COMMITTED_AS]		= "Committed_AS",
	[DM_PAGE_TABLES]		= "PageTables",
	[DM_HUGE_FREE]			= "HugePages_Free",
	[DM_HUGE_RSVD]			= "HugePages_Rsvd",
	[DM_SLAB_VMA]			= "vm_area_struct",
	[DM_SLAB_MAPLE_NODE]		= "maple_node",
	[DM_SLAB_ANON_VMA]		= "anon_vma",
	[DM_SLAB_ANON_VMA_CHAIN]	= "anon_vma_chain",
	[DM_SLAB_MM]			= "mm_struct",
	[DM_SLAB_MEMPOLICY]		= "numa_policy",
};

static const char *say(const char *fmt, ...)
{
	static char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return text;
}

/* Files */

ssize_t dm_read_path(const char *path, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;
	int fd;

	buf[0] = '\0';
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (len < size - 1) {
		n = read(fd, buf + len, size - 1 - len);
		if (n < 0) {
			n = -errno;
			close(fd);
			return n;
		}
		if (!n)
			break;
		len += n;
	}
	close(fd);
	buf[len] = '\0';
	return len;
}

static int write_bytes(const char *path, const void *data, size_t len, off_t off)
{
	ssize_t n;
	int fd, ret;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (off)
		n = pwrite(fd, data, len, off);
	else
		n = write(fd, data, len);
	if (n < 0)
		ret = -errno;
	else
		ret = (size_t)n == len ? 0 : -EIO;
	close(fd);
	return ret;
}

int dm_write_path(const char *path, const char *text)
{
	return write_bytes(path, text, strlen(text), 0);
}

static const char *path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", DM_DIR, name);
	return path;
}

ssize_t dm_read(const char *name, char *buf, size_t size)
{
	return dm_read_path(path_of(name), buf, size);
}

int dm_write(const char *name, const char *text)
{
	return dm_write_path(path_of(name), text);
}

int dm_write_bytes(const char *name, const void *data, size_t len, off_t off)
{
	return write_bytes(path_of(name), data, len, off);
}

long dm_read_number(const char *path)
{
	char buf[64], *end;
	long v;

	if (dm_read_path(path, buf, sizeof(buf)) <= 0)
		return -1;
	v = strtol(buf, &end, 0);
	return end == buf ? -1 : v;
}

/* Is there anything to test? */

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
		if (access(path_of(needed[i]), F_OK))
			return say("no %s", path_of(needed[i]));
	if (access("/proc/self/make-it-fail", F_OK))
		return "no /proc/self/make-it-fail (CONFIG_FAULT_INJECTION)";
	if (access("/proc/self/smaps", F_OK))
		return "no /proc/self/smaps (CONFIG_PROC_PAGE_MONITOR)";
	return NULL;
}

void dm_skip_unless_available(void)
{
	const char *why = dm_unavailable();

	if (!why)
		return;
	ksft_print_header();
	ksft_exit_skip("%s\n", why);
}

/* Settings */

char *dm_bracketed(char *text)
{
	char *open = strchr(text, '['), *close;

	close = open ? strchr(open, ']') : NULL;
	if (!close)
		return NULL;
	*close = '\0';
	return open + 1;
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

const char *dm_arm(enum dm_point point, int index, int err)
{
	char nr[16], error[16];
	const struct {
		const char *name, *text;
	} w[] = {
		{ DM_FAIL "probability", "0" },
		{ DM_FAIL "task-filter", "Y" },
		{ DM_FAIL "verbose", "0" },	/* no stack dump on the console */
		{ DM_FAIL "times", "1" },
		{ DM_FAIL "point", dm_points[point].name },
		{ DM_FAIL "vma-index", nr },
		{ DM_FAIL "errno", error },
		{ DM_FAIL "probability", "100" },
	};
	size_t i;
	int ret;

	snprintf(nr, sizeof(nr), "%d", index);
	snprintf(error, sizeof(error), "%d", err);
	for (i = 0; i < ARRAY_SIZE(w); i++) {
		ret = dm_write(w[i].name, w[i].text);
		if (ret)
			return say("writing %s to %s: %s", w[i].text, w[i].name,
				   strerror(-ret));
	}
	ret = dm_write_path("/proc/self/make-it-fail", "1");
	if (ret)
		return say("writing make-it-fail: %s", strerror(-ret));
	return "";
}

void dm_disarm(void)
{
	dm_write_path("/proc/self/make-it-fail", "0");
	dm_write(DM_FAIL "probability", "0");
}

/* fork() */

pid_t dm_fork(int *err)
{
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (!pid)
		syscall(SYS_exit_group, 0);
	*err = pid < 0 ? errno : 0;
	return pid;
}

int dm_fork_run(int (*fn)(void *arg), void *arg)
{
	int status;
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (!pid)
		syscall(SYS_exit_group, fn(arg));
	if (pid < 0)
		return -errno;
	if (waitpid(pid, &status, 0) != pid)
		return -ECHILD;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void dm_without_rseq(char **argv)
{
	if (!getenv("GLIBC_TUNABLES") &&
	    !setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1))
		execv("/proc/self/exe", argv);
}

/* The address space */

/* A line of maps, or the first one of a VMA in smaps. */
static bool parse_vma(const char *line, struct dm_vma *vma)
{
	unsigned long start, end;
	char perms[5];
	int name = 0;

	if (sscanf(line, "%lx-%lx %4s %*x %*x:%*x %*u %n", &start, &end, perms,
		   &name) != 3 || !name)
		return false;
	/* Shown for every process of x86, but it is no VMA. */
	if (!strncmp(line + name, "[vsyscall]", 10))
		return false;
	memset(vma, 0, sizeof(*vma));
	vma->start = start;
	vma->end = end;
	vma->no_access = !strncmp(perms, "---", 3);
	snprintf(vma->name, sizeof(vma->name), "%.*s",
		 (int)strcspn(line + name, "\n"), line + name);
	return true;
}

const char *dm_get_maps(struct dm_maps *maps)
{
	const char *line, *next;
	ssize_t n;

	n = dm_read_path("/proc/self/maps", maps->text, sizeof(maps->text));
	if (n <= 0 || n == sizeof(maps->text) - 1)
		return say("reading /proc/self/maps: %zd", n);
	maps->len = n;
	maps->nr = 0;
	for (line = maps->text; *line; line = next + 1) {
		next = strchr(line, '\n');
		if (!next)
			return "the last line of /proc/self/maps is cut off";
		if (maps->nr == DM_MAX_VMAS)
			return "too many VMAs";
		maps->nr += parse_vma(line, &maps->vma[maps->nr]);
	}
	return maps->nr ? "" : "no VMA in /proc/self/maps";
}

const char *dm_get_maps_and_flags(struct dm_maps *maps)
{
	static char smaps[DM_MAX_VMAS * 1024];
	struct dm_vma *vma = NULL, v;
	char *line, *next;
	const char *why;
	ssize_t n;
	int i = 0;

	why = dm_get_maps(maps);
	if (*why)
		return why;
	n = dm_read_path("/proc/self/smaps", smaps, sizeof(smaps));
	if (n <= 0 || n == sizeof(smaps) - 1)
		return say("reading /proc/self/smaps: %zd", n);
	for (line = smaps; *line; line = next) {
		next = strchr(line, '\n');
		if (!next)
			return "the last line of /proc/self/smaps is cut off";
		*next++ = '\0';
		if (!strncmp(line, "VmFlags:", 8)) {
			if (!vma)
				continue;
			vma->dontcopy = strstr(line, " dc");
			vma->wipeonfork = strstr(line, " wf");
			vma->account = strstr(line, " ac");
			vma = NULL;
		} else if (parse_vma(line, &v)) {
			if (i == maps->nr || maps->vma[i].start != v.start ||
			    maps->vma[i].end != v.end)
				return "/proc/self/maps and smaps differ";
			vma = &maps->vma[i++];
		}
	}
	return i == maps->nr ? "" : "/proc/self/maps and smaps differ";
}

bool dm_pagemap(const void *addr, size_t nr, uint64_t *entry)
{
	size_t len = nr * sizeof(*entry);
	off_t off = (uintptr_t)addr / sysconf(_SC_PAGESIZE) * sizeof(*entry);
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	bool ok = fd >= 0 && pread(fd, entry, len, off) == (ssize_t)len;

	if (fd >= 0)
		close(fd);
	return ok;
}

/* What must happen */

bool dm_reached(enum dm_point point, const struct dm_vma *vma)
{
	if (!dm_points[point].has_vma)
		return false;
	if (point == DM_VMA_START_WRITE)
		return true;
	if (point == DM_CLEAR_DONTCOPY || vma->dontcopy)
		return point == DM_CLEAR_DONTCOPY && vma->dontcopy;
	if (point == DM_VM_ENOUGH_MEMORY)
		return vma->account;
	if (point == DM_ANON_VMA_FORK || point == DM_COPY_PAGE_RANGE)
		return !vma->wipeonfork;
	return true;
}

void dm_model(const struct dm_maps *maps, enum dm_point point, int index,
	      int err, struct dm_expect *want)
{
	const struct dm_point_info *info = &dm_points[point];
	unsigned long page = sysconf(_SC_PAGESIZE);
	int i, v = -1, copied_to = 0;

	memset(want, 0, sizeof(*want));
	want->index = -1;
	want->class = "-";
	want->err = err && info->err_kept ? err : info->err;

	if (!info->has_vma) {
		want->fails = index == -1;
	} else {
		for (i = 0; i < maps->nr; i++) {
			if (index != -1 && i != index)
				continue;
			if (dm_reached(point, &maps->vma[i])) {
				v = i;
				break;
			}
		}
		want->fails = v >= 0;
		want->index = v;
	}
	if (!want->fails || point == DM_MMAP_WRITE_LOCK || point == DM_MT_DUP)
		return;

	/* Which VMAs of the child are its own when recovery starts? */
	want->recovered = true;
	if (point == DM_ARCH_DUP_MMAP)
		copied_to = maps->nr;
	else if (point == DM_COPY_PAGE_RANGE)
		copied_to = v + 1;	/* it is in the tree by then */
	else
		copied_to = v;
	for (i = 0; i < copied_to; i++) {
		const struct dm_vma *vma = &maps->vma[i];

		if (vma->dontcopy)
			continue;
		want->copied++;
		if (vma->account)
			want->uncharged += (vma->end - vma->start) / page;
	}
	want->torn_down = want->copied;
	if (!want->copied) {
		want->class = "none";
		want->end = 0;
	} else if (copied_to == maps->nr) {
		want->class = "all";
		want->end = ~0ull;
	} else {
		want->class = "partial";
		want->end = maps->vma[copied_to].start;
	}
}

/* `key: value` lines */

static const char *value_of(const char *text, const char *key)
{
	size_t len = strlen(key);
	const char *p = text;

	while (p && *p) {
		if (!strncmp(p, key, len) && !strncmp(p + len, ": ", 2))
			return p + len + 2;
		p = strchr(p, '\n');
		if (p)
			p++;
	}
	return NULL;
}

static bool get_string(const char *text, const char *key, char *out, size_t size)
{
	const char *v = value_of(text, key);
	size_t len = v ? strcspn(v, "\n") : 0;

	if (!v || !len || len >= size)
		return false;
	memcpy(out, v, len);
	out[len] = '\0';
	return true;
}

static bool get_long(const char *text, const char *key, long *out)
{
	char s[32], *end;

	if (!get_string(text, key, s, sizeof(s)))
		return false;
	errno = 0;
	*out = strtol(s, &end, 10);
	return !errno && end != s && !*end;
}

static bool get_count(const char *text, const char *key, unsigned long *out)
{
	long v;

	if (!get_long(text, key, &v) || v < 0)
		return false;
	*out = v;
	return true;
}

const char *dm_get_record(struct dm_record *rec)
{
	static char text[4096];
	char s[64], *end;
	long v;
	ssize_t n;

	memset(rec, 0, sizeof(*rec));
	n = dm_read("last", text, sizeof(text));
	if (n <= 0)
		return say("reading last: %zd", n);
	if (!strcmp(text, "none\n")) {
		rec->none = true;
		return "";
	}
	if (!get_long(text, "pid", &v))
		return "last: no pid";
	rec->pid = v;
	if (!get_string(text, "comm", rec->comm, sizeof(rec->comm)))
		return "last: no comm";
	if (!get_string(text, "point", rec->point, sizeof(rec->point)))
		return "last: no point";
	if (!get_long(text, "vma-index", &v))
		return "last: no vma-index";
	rec->index = v;
	if (!get_string(text, "vma", s, sizeof(s)))
		return "last: no vma";
	rec->has_vma = strcmp(s, "-");
	if (rec->has_vma) {
		int len = 0;

		if (sscanf(s, "%lx-%lx%n", &rec->start, &rec->end_addr, &len) != 2 ||
		    s[len])
			return say("last: vma is '%s'", s);
	}
	if (!get_long(text, "errno", &v))
		return "last: no errno";
	rec->err = v;
	if (!get_string(text, "injected", s, sizeof(s)) || s[1] ||
	    (s[0] != 'y' && s[0] != 'n'))
		return say("last: injected is '%s'", s);
	rec->injected = s[0];
	if (!get_count(text, "alloc-nth", &rec->alloc_nth))
		return "last: no alloc-nth";
	if (!get_count(text, "recovery-alloc-nth", &rec->recovery_alloc_nth))
		return "last: no recovery-alloc-nth";
	if (!get_string(text, "recovery-alloc-failed", s, sizeof(s)) || s[1] ||
	    (s[0] != 'y' && s[0] != 'n'))
		return say("last: recovery-alloc-failed is '%s'", s);
	rec->recovery_alloc_failed = s[0];
	if (!get_string(text, "recovery", rec->recovery, sizeof(rec->recovery)))
		return "last: no recovery";
	if (!get_string(text, "class", rec->class, sizeof(rec->class)))
		return "last: no class";
	if (!get_string(text, "end", s, sizeof(s)))
		return "last: no end";
	rec->has_end = strcmp(s, "-");
	if (rec->has_end) {
		if (strncmp(s, "0x", 2))
			return say("last: end is '%s'", s);
		rec->end = strtoull(s, &end, 16);
		if (*end)
			return say("last: end is '%s'", s);
	}
	if (!get_count(text, "vmas-copied", &rec->copied))
		return "last: no vmas-copied";
	if (!get_count(text, "vmas-torn-down", &rec->torn_down))
		return "last: no vmas-torn-down";
	if (!get_count(text, "pages-uncharged", &rec->uncharged))
		return "last: no pages-uncharged";
	if (!get_count(text, "ns", &rec->ns))
		return "last: no ns";
	return "";
}

const char *dm_get_stats(struct dm_stats *stats)
{
	static char text[4096];
	ssize_t n = dm_read("stats", text, sizeof(text));
	size_t i;
	const struct {
		const char *key;
		unsigned long *v;
	} k[] = {
		{ "forks", &stats->forks },
		{ "failed", &stats->failed },
		{ "injected", &stats->injected },
		{ "allocs-failed", &stats->allocs_failed },
		{ "allocs-missed", &stats->allocs_missed },
		{ "recovered-rust", &stats->rust },
		{ "recovered-upstream", &stats->upstream },
		{ "vmas-torn-down", &stats->torn_down },
		{ "pages-uncharged", &stats->uncharged },
	};

	if (n <= 0)
		return say("reading stats: %zd", n);
	for (i = 0; i < ARRAY_SIZE(k); i++)
		if (!get_count(text, k[i].key, k[i].v))
			return say("stats: no %s", k[i].key);
	return "";
}

const char *dm_get_counts(struct dm_counts *counts)
{
	static char text[8192];
	char name[32];
	char *line = text, *next;
	ssize_t n = dm_read("points", text, sizeof(text));
	int p, err;

	if (n <= 0)
		return say("reading points: %zd", n);
	if (*line != '#')
		return "points: no header line";
	for (p = -1; *line; line = next, p++) {
		next = strchr(line, '\n');
		if (!next)
			return "points: the last line is cut off";
		*next++ = '\0';
		if (p < 0)
			continue;
		if (p == DM_NR_POINTS ||
		    sscanf(line, "%31s %d %lu %lu", name, &err, &counts->hits[p],
			   &counts->injected[p]) != 4 ||
		    strcmp(name, dm_points[p].name))
			return say("points: unexpected line '%s'", line);
	}
	return p == DM_NR_POINTS ? "" : "points: lines are missing";
}

const char *dm_compare(const struct dm_maps *maps, const struct dm_expect *want,
		       enum dm_point point, const char *recovery,
		       const struct dm_record *rec)
{
	const struct dm_vma *vma = NULL;

	if (rec->none)
		return "last: none, expected a record";
	if (strcmp(rec->point, dm_points[point].name))
		return say("last: point is %s, expected %s", rec->point,
			   dm_points[point].name);
	if (rec->index != want->index)
		return say("last: vma-index is %d, expected %d", rec->index,
			   want->index);
	if (want->index >= 0)
		vma = &maps->vma[want->index];
	if (rec->has_vma != !!vma)
		return say("last: %s vma", vma ? "no" : "unexpected");
	if (vma && (rec->start != vma->start || rec->end_addr != vma->end))
		return say("last: vma is %lx-%lx, expected %lx-%lx", rec->start,
			   rec->end_addr, vma->start, vma->end);
	if (rec->err != want->err)
		return say("last: errno is %d, expected %d", rec->err, want->err);
	if (strcmp(rec->recovery, want->recovered ? recovery : "-"))
		return say("last: recovery is %s, expected %s", rec->recovery,
			   want->recovered ? recovery : "-");
	if (strcmp(rec->class, want->class))
		return say("last: class is %s, expected %s", rec->class,
			   want->class);
	if (rec->has_end != want->recovered)
		return say("last: %s end", want->recovered ? "no" : "unexpected");
	if (rec->end != want->end)
		return say("last: end is %#llx, expected %#llx",
			   rec->end,
			   want->end);
	if (rec->copied != want->copied)
		return say("last: vmas-copied is %lu, expected %lu", rec->copied,
			   want->copied);
	if (rec->torn_down != want->torn_down)
		return say("last: vmas-torn-down is %lu, expected %lu",
			   rec->torn_down, want->torn_down);
	if (rec->uncharged != want->uncharged)
		return say("last: pages-uncharged is %lu, expected %lu",
			   rec->uncharged, want->uncharged);
	return "";
}

static const char *compare_stats(const struct dm_expect *want,
				 const char *recovery, const struct dm_stats *a,
				 const struct dm_stats *b)
{
	bool rust = want->recovered && !strcmp(recovery, "rust");
	bool upstream = want->recovered && !strcmp(recovery, "upstream");
	const struct {
		const char *key;
		unsigned long seen, want;
	} k[] = {
		{ "failed", b->failed - a->failed, want->fails },
		{ "injected", b->injected - a->injected, want->fails },
		{ "recovered-rust", b->rust - a->rust, rust },
		{ "recovered-upstream", b->upstream - a->upstream, upstream },
		{ "vmas-torn-down", b->torn_down - a->torn_down, want->torn_down },
		{ "pages-uncharged", b->uncharged - a->uncharged, want->uncharged },
	};
	size_t i;

	/* Others may fork meanwhile, but their forks do not fail. */
	if (b->forks <= a->forks)
		return say("stats: forks did not grow from %lu", a->forks);
	for (i = 0; i < ARRAY_SIZE(k); i++)
		if (k[i].seen != k[i].want)
			return say("stats: %s grew by %ld, expected %lu", k[i].key,
				   (long)k[i].seen, k[i].want);
	return "";
}

static const char *compare_counts(const struct dm_expect *want,
				  enum dm_point point, const struct dm_counts *a,
				  const struct dm_counts *b)
{
	int p;

	for (p = 0; p < DM_NR_POINTS; p++) {
		unsigned long injected = want->fails && p == (int)point;

		if (b->injected[p] - a->injected[p] != injected)
			return say("points: injected of %s grew by %ld, expected %lu",
				   dm_points[p].name,
				   (long)(b->injected[p] - a->injected[p]), injected);
	}
	if (want->fails && b->hits[point] <= a->hits[point])
		return say("points: hits of %s did not grow", dm_points[point].name);
	return "";
}

static const char *shoot_once(enum dm_point point, int index, int err,
			      const char *recovery, struct dm_record *rec,
			      long *committed)
{
	static struct dm_maps before, after;
	static struct dm_stats stats[2];
	static struct dm_counts counts[2];
	static struct dm_expect want;
	static char last[2][4096];
	char comm[32];
	const char *why;
	int fds, seen, status;
	unsigned long taint = dm_taint();
	long times;
	pid_t pid;

	why = dm_get_maps_and_flags(&before);
	if (*why)
		return why;
	dm_model(&before, point, index, err, &want);
	why = dm_get_stats(&stats[0]);
	if (*why)
		return why;
	why = dm_get_counts(&counts[0]);
	if (*why)
		return why;
	dm_read("last", last[0], sizeof(last[0]));
	why = dm_arm(point, index, err);
	if (*why)
		return why;

	fds = dm_nr_fds();
	*committed = dm_committed_as();
	pid = dm_fork(&seen);
	if (pid > 0 && (waitpid(pid, &status, 0) != pid || status))
		return say("the child ended with status %#x", status);
	*committed = dm_committed_as() - *committed;
	times = dm_read_number(path_of(DM_FAIL "times"));
	dm_disarm();

	if (want.fails && pid > 0)
		return "fork() worked, expected ENOMEM";
	if (want.fails && seen != ENOMEM)
		return say("fork() said %s, expected ENOMEM", strerror(seen));
	if (!want.fails && pid < 0)
		return say("fork() said %s, but this point is not reached here",
			   strerror(seen));
	if (times != !want.fails)
		return say("times is %ld afterwards, expected %d", times,
			   !want.fails);
	if (dm_taint() != taint)
		return say("the kernel complained (taint %#lx, was %#lx): see dmesg",
			   dm_taint(), taint);
	if (dm_nr_fds() != fds)
		return say("%d open files, expected %d", dm_nr_fds(), fds);

	why = dm_get_maps(&after);
	if (*why)
		return why;
	if (before.len != after.len || memcmp(before.text, after.text, after.len))
		return "/proc/self/maps of the parent changed";
	why = dm_get_stats(&stats[1]);
	if (*why)
		return why;
	why = compare_stats(&want, recovery, &stats[0], &stats[1]);
	if (*why)
		return why;
	why = dm_get_counts(&counts[1]);
	if (*why)
		return why;
	why = compare_counts(&want, point, &counts[0], &counts[1]);
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
	why = dm_compare(&before, &want, point, recovery, rec);
	if (*why)
		return why;
	if (rec->injected != 'y')
		return "last: injected is n, expected y";
	if (rec->pid != getpid())
		return say("last: pid is %d, expected %d", rec->pid, getpid());
	dm_read_path("/proc/self/comm", comm, sizeof(comm));
	comm[strcspn(comm, "\n")] = '\0';
	if (strcmp(rec->comm, comm))
		return say("last: comm is %s, expected %s", rec->comm, comm);
	return "";
}

const char *dm_shoot(enum dm_point point, int index, int err,
		     const char *recovery, struct dm_record *rec)
{
	const char *why;
	long committed;
	int i;

	/*
	 * Committed_AS is exact but belongs to the whole system: another
	 * process may map something in between. What a failed fork keeps, it
	 * keeps every time.
	 */
	for (i = 0; i < 4; i++) {
		why = shoot_once(point, index, err, recovery, rec, &committed);
		if (*why) {
			dm_disarm();
			return why;
		}
		if (!committed)
			return "";
	}
	return say("Committed_AS moved by %ld kB over the fork", committed);
}

int dm_index_of(const struct dm_maps *maps, const void *addr)
{
	unsigned long a = (unsigned long)addr;
	int i;

	for (i = 0; i < maps->nr; i++)
		if (maps->vma[i].start <= a && a < maps->vma[i].end)
			return i;
	return -1;
}

const char *dm_shoot_around(const void *addr, const char *recovery,
			    const char *(*check)(void *arg), void *arg)
{
	static struct dm_maps maps;
	static char text[600];
	struct dm_record rec;
	const char *why;
	int p, at, index;

	why = dm_get_maps(&maps);
	if (*why)
		return why;
	index = dm_index_of(&maps, addr);
	if (index < 0 || index + 1 == maps.nr)
		return say("no VMA at %p, or none after it", addr);
	for (at = index; at <= index + 1; at++) {
		for (p = 0; p < DM_NR_POINTS; p++) {
			if (!dm_points[p].has_vma && at != index)
				continue;
			why = dm_shoot(p, dm_points[p].has_vma ? at : -1, 0,
				       recovery, &rec);
			if (!*why)
				why = check(arg);
			if (!*why)
				continue;
			snprintf(text, sizeof(text), "%s, %s VMA: %s",
				 dm_points[p].name, at == index ? "this" : "next",
				 why);
			return text;
		}
	}
	return "";
}

/* Allocations that fail for real */

#define DEBUGFS		"/sys/kernel/debug/"
#define FAIL_NTH	"/proc/thread-self/fail-nth"

int dm_set_nth(int nth)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", nth);
	return dm_write_path(FAIL_NTH, text) ? -1 : 0;
}

int dm_get_nth(void)
{
	return dm_read_number(FAIL_NTH);
}

/* Where a function of the kernel is: [*start, *end). */
static bool find_function(const char *name, unsigned long *start,
			  unsigned long *end)
{
	char line[512], symbol[256];
	unsigned long addr;
	FILE *f = fopen("/proc/kallsyms", "re");

	*start = *end = 0;
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f) && !*start)
		if (sscanf(line, "%lx %*c %255s", &addr, symbol) == 2 &&
		    !strcmp(symbol, name))
			*start = addr;
	/* The list is not sorted. */
	rewind(f);
	while (*start && fgets(line, sizeof(line), f)) {
		addr = strtoul(line, NULL, 16);
		if (addr > *start && (!*end || addr < *end))
			*end = addr;
	}
	fclose(f);
	return *end;
}

static bool alloc_set(struct dm_alloc *a, const char *dir, const char *file,
		      const char *text)
{
	int i = a->nr;

	if (i == ARRAY_SIZE(a->file))
		return false;
	snprintf(a->file[i].path, sizeof(a->file[i].path), DEBUGFS "%s/%s", dir,
		 file);
	if (dm_read_path(a->file[i].path, a->file[i].old,
			 sizeof(a->file[i].old)) <= 0)
		return false;
	a->nr++;
	return !dm_write_path(a->file[i].path, text);
}

const char *dm_alloc_begin(struct dm_alloc *a, const char *function)
{
	static const struct {
		const char *dir, *file, *text;
	} any[] = {
		/* By default most allocations are spared. */
		{ "failslab", "ignore-gfp-wait", "N" },
		{ "failslab", "cache-filter", "N" },
		{ "fail_page_alloc", "ignore-gfp-wait", "N" },
		{ "fail_page_alloc", "ignore-gfp-highmem", "N" },
		{ "fail_page_alloc", "min-order", "0" },
	};
	unsigned long start = 0, end = ~0ul;
	char first[32], last[32];
	struct dirent *e;
	bool ok = true;
	size_t i;
	DIR *d;

	a->nr = 0;
	if (dm_get_nth() < 0)
		return "no " FAIL_NTH;
	if (function && *function && !find_function(function, &start, &end))
		return say("no %s in /proc/kallsyms", function);
	snprintf(first, sizeof(first), "%#lx", start);
	snprintf(last, sizeof(last), "%#lx", end);
	for (i = 0; function && i < ARRAY_SIZE(any); i++)
		if (!alloc_set(a, any[i].dir, any[i].file, any[i].text))
			return say("no " DEBUGFS "%s/%s", any[i].dir, any[i].file);
	/*
	 * fail-nth counts what any fault attribute is asked; a stack filter that
	 * nothing passes takes one out.
	 */
	d = opendir(DEBUGFS);
	while (d && ok && (e = readdir(d))) {
		bool wanted = function && (!strcmp(e->d_name, "failslab") ||
					   !strcmp(e->d_name, "fail_page_alloc"));

		if (strncmp(e->d_name, "fail", 4))
			continue;
		/* A failure by fail-nth is one of its times, unless they have no end. */
		ok = alloc_set(a, e->d_name, "verbose", "0") &&
			(!wanted || alloc_set(a, e->d_name, "times", "-1")) &&
			alloc_set(a, e->d_name, "require-start",
				  wanted ? first : "0") &&
			alloc_set(a, e->d_name, "require-end",
				  wanted ? last : "0");
	}
	if (d)
		closedir(d);
	return d && ok ? NULL :
		"no stack filter (CONFIG_FAULT_INJECTION_STACKTRACE_FILTER)";
}

void dm_alloc_end(struct dm_alloc *a)
{
	dm_set_nth(0);
	for (; a->nr; a->nr--)
		dm_write_path(a->file[a->nr - 1].path, a->file[a->nr - 1].old);
}

/* One fork with the n-th of the allocations failing; *used: there was one. */
static const char *fail_alloc_once(int nth, enum dm_point point,
				   const char *recovery, bool *forked, bool *used)
{
	static struct dm_maps before, after;
	static struct dm_record rec;
	struct dm_stats stats[2];
	struct dm_expect want;
	unsigned long taint = dm_taint();
	const char *why;
	int err, try, left, status = 0;
	long committed;
	pid_t pid;

	why = dm_get_maps_and_flags(&before);
	if (*why)
		return why;
	/* Committed_AS: as in dm_shoot(). */
	for (try = 0, committed = 1; try < 4 && committed; try++) {
		why = dm_get_stats(&stats[0]);
		if (*why)
			return why;
		committed = dm_committed_as();
		if (dm_set_nth(nth))
			return "writing " FAIL_NTH;
		pid = dm_fork(&err);
		left = dm_get_nth();
		dm_set_nth(0);
		if (left < 0)
			return "reading " FAIL_NTH;
		if (pid > 0 && (waitpid(pid, &status, 0) != pid || status))
			return say("the child ended with status %#x", status);
		committed = dm_committed_as() - committed;
	}
	*forked = pid > 0;
	*used = !left;
	if (committed)
		return say("Committed_AS moved by %ld kB over the fork", committed);
	if (dm_taint() != taint)
		return "the kernel complained: see dmesg";
	why = dm_get_maps(&after);
	if (*why)
		return why;
	if (before.len != after.len || memcmp(before.text, after.text, after.len))
		return "/proc/self/maps of the parent changed";
	why = dm_get_stats(&stats[1]);
	if (*why)
		return why;
	if (stats[1].failed - stats[0].failed != !*forked ||
	    stats[1].injected != stats[0].injected)
		return say("stats: failed grew by %lu, injected by %lu",
			   stats[1].failed - stats[0].failed,
			   stats[1].injected - stats[0].injected);
	if (*forked)
		return "";
	if (err != ENOMEM)
		return say("fork() said %s, expected ENOMEM", strerror(err));
	why = dm_get_record(&rec);
	if (*why)
		return why;
	dm_model(&before, point, rec.index, 0, &want);
	why = dm_compare(&before, &want, point, recovery, &rec);
	if (*why)
		return why;
	if (rec.pid != getpid())
		return say("last: pid is %d, expected %d", rec.pid, getpid());
	return rec.injected == 'n' ? "" : "last: injected is y, expected n";
}

const char *dm_fail_allocs(enum dm_point point, const char *recovery,
			   const char *(*check)(void *arg), void *arg,
			   int at_least, int *failed)
{
	static char text[600];
	bool forked, used;
	const char *why;
	int pass, nth;

	/* This module's attribute does not count. */
	if (dm_write(DM_FAIL "require-end", "0"))
		return "writing " DM_FAIL "require-end";
	/*
	 * A cache that takes another slab meanwhile makes one allocation more, and
	 * those behind it change places with ones that were tried already.
	 */
	for (pass = 0; pass < 5; pass++) {
		*failed = 0;
		for (nth = 1, used = true; used; nth++) {
			if (nth == 1000)
				return "there is no end to it";
			why = fail_alloc_once(nth, point, recovery, &forked, &used);
			if (!*why)
				why = check(arg);
			if (*why) {
				snprintf(text, sizeof(text), "allocation %d: %s", nth,
					 why);
				return text;
			}
			*failed += used && !forked;
		}
		if (*failed >= at_least)
			break;
	}
	return "";
}

/* VMAs of a kind at a position */

unsigned long long dm_sum(const void *p, size_t len)
{
	const uint64_t *word = p;
	unsigned long long h = 0xcbf29ce484222325ull;	/* FNV-1a, but for the words */

	for (; len; len -= sizeof(*word))
		h = (h ^ *word++) * 0x100000001b3ull;
	return h;
}

/* An address for len bytes below every VMA, or above every VMA. */
static char *lowest(size_t len)
{
	unsigned long page = sysconf(_SC_PAGESIZE);
	long min = dm_read_number("/proc/sys/vm/mmap_min_addr");
	void *p;

	if (min < 0x10000)
		min = 0x10000;
	min = (min + page - 1) & ~(page - 1);
	p = mmap((void *)min, len, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

static char *highest(size_t len, const struct dm_maps *maps)
{
	unsigned long page = sysconf(_SC_PAGESIZE);
	unsigned long above = maps->vma[maps->nr - 1].end;
	int bits;

	/*
	 * The size of the address space depends on architecture, page size and
	 * CPU. It is a power of two, on x86 less one page. Beyond 47 (x86) or
	 * 48 (arm64) bits mmap() wants to be asked for the address, as here.
	 */
	for (bits = 32; bits < 60; bits++) {
		unsigned long addr = (1ul << bits) - page - len;
		void *p;

		if (addr < above + page || 1ul << bits <= above)
			continue;
		p = mmap((void *)addr, len, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		if (p == (void *)addr)
			return p;
		if (p != MAP_FAILED)
			munmap(p, len);
	}
	return NULL;
}

static bool map_at(char *addr, size_t len, int flags, int fd)
{
	return mmap(addr, len, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0) ==
		(void *)addr;
}

static int find_vma(const struct dm_maps *maps, const char *addr, size_t len)
{
	unsigned long start = (unsigned long)addr;
	int i;

	for (i = 0; i < maps->nr; i++)
		if (maps->vma[i].start == start && maps->vma[i].end == start + len)
			return i;
	return -1;
}

static bool map_kind(struct dm_layout *l)
{
	const int anon = MAP_PRIVATE | MAP_ANONYMOUS;
	bool ok = false;
	size_t i;
	int fd;

	switch (l->kind) {
	case DM_FILE_PRIVATE:
		fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
		ok = fd >= 0 && map_at(l->addr, l->len, MAP_PRIVATE, fd);
		if (fd >= 0)
			close(fd);
		break;
	case DM_FILE_SHARED:
		l->fd = memfd_create("dup_mmap", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		ok = l->fd >= 0 && !ftruncate(l->fd, l->len) &&
			map_at(l->addr, l->len, MAP_SHARED, l->fd);
		break;
	case DM_DONTFORK:
		ok = map_at(l->addr, l->len, anon, -1) &&
			!madvise(l->addr, l->len, MADV_DONTFORK);
		break;
	case DM_WIPEONFORK:
		ok = map_at(l->addr, l->len, anon, -1) &&
			!madvise(l->addr, l->len, MADV_WIPEONFORK);
		break;
	default:
		ok = map_at(l->addr, l->len, anon, -1);
	}
	if (!ok)
		return false;
	/* Every other page, so that there is something to copy and to skip. */
	for (i = 0; i < l->len; i += 2 * sysconf(_SC_PAGESIZE))
		memset(l->addr + i, 0x5a + l->kind, 64);
	l->sum = dm_sum(l->addr, l->len);
	return true;
}

const char *dm_build(struct dm_layout *l, enum dm_kind kind,
		     enum dm_position position)
{
	static struct dm_maps maps;
	unsigned long page = sysconf(_SC_PAGESIZE);
	size_t side = 2 * page;
	char *dontfork = NULL;
	const char *why;

	memset(l, 0, sizeof(*l));
	l->kind = kind;
	l->position = position;
	l->fd = -1;
	l->len = 4 * page;
	l->whole_len = l->len;
	if (kind == DM_AFTER_DONTFORK || kind == DM_BEFORE_DONTFORK)
		l->whole_len += side;

	why = dm_get_maps(&maps);
	if (*why)
		return why;
	switch (position) {
	case DM_FIRST:
		l->whole = lowest(l->whole_len);
		if (!l->whole)
			return "the lowest address is taken";
		l->addr = l->whole;
		break;
	case DM_LAST:
		l->whole = highest(l->whole_len, &maps);
		if (!l->whole)
			return "no room above the highest VMA";
		l->addr = l->whole;
		break;
	default:
		/* Kept apart from its neighbours, so that it does not merge. */
		l->whole_len += 2 * page;
		l->whole = mmap(NULL, l->whole_len, PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (l->whole == MAP_FAILED) {
			l->whole = NULL;
			return say("mmap: %s", strerror(errno));
		}
		l->addr = l->whole + page;
	}
	if (kind == DM_AFTER_DONTFORK) {
		dontfork = l->addr;
		l->addr += side;
	} else if (kind == DM_BEFORE_DONTFORK) {
		dontfork = l->addr + l->len;
	}
	if (!map_kind(l) ||
	    (dontfork && (!map_at(dontfork, side, MAP_PRIVATE | MAP_ANONYMOUS, -1) ||
			  madvise(dontfork, side, MADV_DONTFORK)))) {
		why = say("mapping: %s", strerror(errno));
		dm_unbuild(l);
		return why;
	}
	if (dontfork)
		memset(dontfork, 0x33, 64);

	/* The position is judged by the maps, not by what was asked for. */
	why = dm_get_maps(&maps);
	if (*why)
		return why;
	l->index = find_vma(&maps, l->addr, l->len);
	if (l->index < 0 || (dontfork && find_vma(&maps, dontfork, side) < 0))
		return "the VMA was merged or split";
	if (position == DM_FIRST && maps.vma[0].start != (unsigned long)l->whole)
		return "the VMA is not the first one";
	if (position == DM_LAST &&
	    maps.vma[maps.nr - 1].end != (unsigned long)l->whole + l->whole_len)
		return "the VMA is not the last one";
	if (position == DM_MIDDLE && (!l->index || l->index == maps.nr - 1))
		return "the VMA is not in the middle";
	return NULL;
}

const char *dm_check_layout(struct dm_layout *l)
{
	if (dm_sum(l->addr, l->len) != l->sum)
		return "the memory of the parent changed";
	return "";
}

static int child_sees(void *arg)
{
	struct dm_layout *l = arg;
	unsigned char vec[16];
	size_t i;

	switch (l->kind) {
	case DM_DONTFORK:
		return mincore(l->addr, l->len, vec) != -1 || errno != ENOMEM;
	case DM_WIPEONFORK:
		for (i = 0; i < l->len; i++)
			if (l->addr[i])
				return 1;
		return 0;
	default:
		return dm_sum(l->addr, l->len) != l->sum;
	}
}

const char *dm_check_clean_fork(struct dm_layout *l)
{
	int ret = dm_fork_run(child_sees, l);

	if (ret < 0)
		return say("a fork with nothing armed: %s", strerror(-ret));
	if (ret)
		return say("the child of a fork that works finds wrong memory (%d)",
			   ret);
	return "";
}

const char *dm_unbuild(struct dm_layout *l)
{
	const char *why = "";

	if (l->whole && munmap(l->whole, l->whole_len))
		why = say("munmap: %s", strerror(errno));
	l->whole = NULL;
	if (l->fd >= 0) {
		/*
		 * Refused with EBUSY while the file counts a writable mapping
		 * which nobody has any more.
		 */
		if (!*why && fcntl(l->fd, F_ADD_SEALS, F_SEAL_WRITE))
			why = say("sealing the file after munmap(): %s (i_mmap_writable not back?)",
				  strerror(errno));
		close(l->fd);
		l->fd = -1;
	}
	return why;
}

/* Counters of the whole system */

static long meminfo(const char *text, const char *key)
{
	const char *p = strstr(text, key);

	return p ? strtol(p + strlen(key) + 1, NULL, 10) : -1;
}

long dm_committed_as(void)
{
	static char text[8192];

	dm_read_path("/proc/meminfo", text, sizeof(text));
	return meminfo(text, "Committed_AS");
}

static const char *slab_path(enum dm_counter c, const char *file)
{
	static char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/%s",
		 dm_counter_names[c], file);
	return path;
}

bool dm_have_slab(void)
{
	return dm_read_number(slab_path(DM_SLAB_VMA, "objects")) >= 0;
}

/* An idle CPU keeps the mm that it ran last until it gets another one. */
static void visit_cpus(void)
{
	cpu_set_t old, one;
	int i;

	if (sched_getaffinity(0, sizeof(old), &old))
		return;
	for (i = 0; i < sysconf(_SC_NPROCESSORS_CONF); i++) {
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		sched_setaffinity(0, sizeof(one), &one);
	}
	sched_setaffinity(0, sizeof(old), &old);
}

static void get_slab(struct dm_counters *c)
{
	int i;

	visit_cpus();

	/* Freed objects stay in sheaves and, with KASAN, in quarantine. */
	for (i = DM_SLAB_FIRST; i < DM_NR_COUNTERS; i++)
		dm_write_path(slab_path(i, "shrink"), "1");
	/* A grace period, for those freed by RCU. */
	syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	for (i = DM_SLAB_FIRST; i < DM_NR_COUNTERS; i++) {
		dm_write_path(slab_path(i, "shrink"), "1");
		c->v[i] = dm_read_number(slab_path(i, "objects"));
	}
}

void dm_get_counters(struct dm_counters *c)
{
	static char text[8192];
	bool exact;

	get_slab(c);
	/* Folds the per-CPU differences, without which PageTables is a guess. */
	exact = !dm_write_path("/proc/sys/vm/stat_refresh", "1");
	dm_read_path("/proc/meminfo", text, sizeof(text));
	c->v[DM_COMMITTED_AS] = meminfo(text, "Committed_AS");
	c->v[DM_PAGE_TABLES] = exact ? meminfo(text, "PageTables") : -1;
	c->v[DM_HUGE_FREE] = meminfo(text, "HugePages_Free");
	c->v[DM_HUGE_RSVD] = meminfo(text, "HugePages_Rsvd");
	/* This process may have more than before, and does: it maps and unmaps. */
	dm_read_path("/proc/self/status", text, sizeof(text));
	if (exact)
		c->v[DM_PAGE_TABLES] -= meminfo(text, "VmPTE");
}

double dm_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

void dm_settle(struct dm_counters *c)
{
	static struct dm_counters now;
	double fell = dm_seconds();
	int i;

	dm_get_counters(c);
	while (dm_seconds() - fell < 6) {
		dm_get_counters(&now);
		for (i = 0; i < DM_NR_COUNTERS; i++)
			if (now.v[i] < c->v[i])
				fell = dm_seconds();
		*c = now;
	}
}

const char *dm_check_counters(const struct dm_counters *before, int wait)
{
	/*
	 * The kernel's own page tables count too, and those of vmalloc, where
	 * the stacks of new tasks are, stay. A table that a failed fork leaves
	 * behind is found exactly, by check_mm() and in the kernel's log.
	 */
	static const long slack[DM_NR_COUNTERS] = { [DM_PAGE_TABLES] = 64 };
	static struct dm_counters now;
	static char text[512];
	double start = dm_seconds();
	size_t len = 0;
	bool worse;
	int i;

	/* Fewer is no leak: something else has let go. */
	do {
		dm_get_counters(&now);
		worse = false;
		for (i = 0; i < DM_NR_COUNTERS; i++)
			if (i == DM_HUGE_FREE ? now.v[i] < before->v[i] :
						now.v[i] > before->v[i] + slack[i])
				worse = true;
	} while (worse && dm_seconds() - start < wait);
	if (!worse)
		return "";
	for (i = 0; i < DM_NR_COUNTERS; i++)
		if (now.v[i] != before->v[i])
			len += snprintf(text + len, sizeof(text) - len, " %s %+ld",
					dm_counter_names[i],
					now.v[i] - before->v[i]);
	return say("not given back:%s", text);
}

#define ZRAM	"/sys/block/zram0/"

const char *dm_swap_on(void)
{
	static union {
		struct {
			char boot[1024];
			uint32_t version, last_page, nr_bad;
		};
		char bytes[65536];
	} header;
	size_t page = sysconf(_SC_PAGESIZE);
	ssize_t n;
	int fd;

	if (access(ZRAM "disksize", W_OK))
		return "no " ZRAM "disksize (CONFIG_ZRAM)";
	if (dm_write_path(ZRAM "disksize", "16M"))
		return "writing " ZRAM "disksize: is it in use?";
	header.version = 1;
	header.last_page = (16 << 20) / page - 1;
	memcpy(header.bytes + page - 10, "SWAPSPACE2", 10);
	fd = open("/dev/zram0", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return "no /dev/zram0";
	n = write(fd, header.bytes, page);
	close(fd);
	if (n == (ssize_t)page && !swapon("/dev/zram0", 0))
		return NULL;
	dm_swap_off();
	return "swapon fails";
}

void dm_swap_off(void)
{
	swapoff("/dev/zram0");
	dm_write_path(ZRAM "reset", "1");
}

bool dm_page_out(void *p, size_t len)
{
	static uint64_t entry[64];
	size_t nr = len / sysconf(_SC_PAGESIZE), i, try;

	for (try = 0; nr <= ARRAY_SIZE(entry) && try < 20; try++) {
		/*
		 * Pages that another CPU has yet to put on the LRU are not paged
		 * out; this puts them there.
		 */
		if (dm_write_path("/proc/sys/vm/drop_caches", "1") ||
		    madvise(p, len, MADV_PAGEOUT) || !dm_pagemap(p, nr, entry))
			return false;
		for (i = 0; i < nr && DM_PAGE_SWAPPED(entry[i]); i++)
			;
		if (i == nr)
			return true;
	}
	return false;
}

int dm_nr_fds(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 64; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			n++;
	return n;
}

unsigned long dm_taint(void)
{
	/* Bad page, machine died (Oops), warning, soft lockup. */
	const unsigned long bad = 1ul << 5 | 1ul << 7 | 1ul << 9 | 1ul << 14;

	long taint = dm_read_number("/proc/sys/kernel/tainted");

	return taint < 0 ? 0 : taint & bad;
}
