// SPDX-License-Identifier: GPL-2.0
/*
 * Who comes by the child of a fork that has failed, before its mm is gone: swapoff,
 * uprobes, who changes a file that it has mapped or a page that it shares, who looks
 * at its parent, who kills that. The module holds the fork at each place in turn, and
 * the outsider either finds nothing or waits for a lock, until the fork is let go.
 *
 * With recovery=xa-zero, which is what Linux 6.8 to 6.19 did, they do find something,
 * and go away because the mm says that it is unstable. With xa-zero-bare it does not
 * say so, and some of them die:
 *
 *	window --race swapoff|uprobe RECOVERY
 *
 * sends one of these; scripts/check-race expects the kernel to die of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dup_mmap.h"
#include "harness.h"

#define TRACING		"/sys/kernel/tracing/"
#define UPROBE_EVENTS	TRACING "uprobe_events"
#define PROBE		"dup_mmap_window"
#define PERF_TYPE	"/sys/bus/event_source/devices/uprobe/type"
#define HUGE_SIZE	"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"
#define KSM		"/sys/kernel/mm/ksm/"
#define HOLD_EVENT	TRACING "events/dup_mmap_recovery/hold/enable"
#define SYSRQ		"/proc/sysrq-trigger"
#define CODE_FILE	"/tmp/dup_mmap_window"

/*
 * Below all other VMAs of the program, so that these alone have been copied when the
 * fork fails, in pages from LOW on. What fails is directly behind the code: a uprobe
 * asks the VMA behind it for its anon_vma.
 */
#define LOW		((char *)(64ul << 20))
#define HUGE		((char *)(32ul << 20))

enum { SWAPPED = 0, FILE_ = 8, SHARED = 16, MERGED = 24, WATCHED = 32, CODE = 40, FAIL = 41 };

#define NR_PAGES	4	/* of each but the last two */
#define LARGE		(8ul << 20)
#define NO_LONGER	"60000"	/* hold/timeout-ms */

enum place { BEFORE, UNLOCKED, AFTER, AFTER_UNLOCK, PINNED };

static const char * const places[] = {
	[BEFORE]	= "before-recovery",
	[UNLOCKED]	= "parent-unlocked",
	[AFTER]		= "after-recovery",
	[AFTER_UNLOCK]	= "after-unlock",
	[PINNED]	= "pinned",
};

/* What the victim has besides. */
enum with { NOTHING = 0, SWAP = 1, KSM_PAGES = 2, A_HUGE_FILE = 4, MUCH = 8 };

/* Processes, each for one thing. They are there before the fork is held. */
enum outsider { SWAPOFF, PERF, TRACEFS, A_FORK, MAPS, SMAPS, UNMERGE, NR_OUTSIDERS };

struct worker {
	pid_t tid;
	int go[2];		/* a pipe */
	bool done;
	char why[128];
};

/* Shared with all of them. */
static struct scene {
	const char *recovery;
	enum place at;
	enum with with;
	size_t page;
	unsigned long taint;	/* before */
	pid_t victim;		/* whose fork is held; 0: there is none */
	struct worker main, thread;	/* of it */
	bool ready, over;
	int err;		/* of that fork */
	int file, huge_file;	/* mapped by the victim */
	int uffd;		/* of the victim: a number of its own */
	uint64_t file_frame, ksm_frame;
	int fail;		/* index of the VMA */
	struct dm_maps maps;
	struct worker outsider[NR_OUTSIDERS];
} *scene;

/* Of the program, and what there was before its first test. */
static struct dm_cgroup cgroup;
static struct dm_counters *before;

static char *at(int page)
{
	return LOW + page * scene->page;
}

static bool is_bare(void)
{
	return !strcmp(scene->recovery, "xa-zero-bare");
}

/* The copies, a marker and the parent's VMAs are left for others to be found. */
static bool left(void)
{
	return !strncmp(scene->recovery, "xa-zero", 7);
}

/* Nobody has the parent's mmap lock. */
static bool parent_is_free(void)
{
	return scene->at >= AFTER_UNLOCK ||
		(scene->at > BEFORE && dm_lets_go_early(scene->recovery));
}

/* The child still has the pages that it has copied. */
static bool has_pages(void)
{
	return left() || scene->at < AFTER;
}

static const char *no_uprobes(void)
{
	return access(PERF_TYPE, F_OK) || access(UPROBE_EVENTS, W_OK) ?
		"no uprobes (CONFIG_UPROBE_EVENTS)" : NULL;
}

/* What one of them does: "" or what is wrong. */

static const char *swap_off(void)
{
	return swapoff("/dev/zram0") ? "swapoff() fails" : "";
}

static const char *probe_by_perf(void)
{
	struct perf_event_attr attr = {
		.type = dm_read_number(PERF_TYPE),
		.size = sizeof(attr),
		.disabled = 1,
		.uprobe_path = (uintptr_t)CODE_FILE,
	};
	/* Of all processes, or those who have the code would be asked who they are. */
	int fd = syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 || close(fd) ? "perf_event_open() fails" : "";
}

static const char *probe_by_tracefs(void)
{
	const char *why = "";
	int fd = open(UPROBE_EVENTS, O_WRONLY | O_APPEND | O_CLOEXEC);
	static const char add[] = "p:" PROBE "/p " CODE_FILE ":0x0\n", del[] = "-:" PROBE "/p\n";

	if (fd < 0 || write(fd, add, strlen(add)) < 0)
		return "no uprobe can be added";
	if (dm_write_path(TRACING "events/" PROBE "/p/enable", "1") ||
	    dm_write_path(TRACING "events/" PROBE "/p/enable", "0"))
		why = "the uprobe can't be enabled";
	if (write(fd, del, strlen(del)) < 0)
		why = "the uprobe can't be removed";
	close(fd);
	return why;
}

static const char *fork_too(void)
{
	int err, status;
	pid_t pid = dm_fork(&err);

	return pid < 0 || waitpid(pid, &status, 0) != pid || status ? "a fork fails" : "";
}

static const char *read_of_victim(const char *name)
{
	static char path[64], text[1 << 20];

	snprintf(path, sizeof(path), "/proc/%d/%s", scene->victim, name);
	return dm_read_path(path, text, sizeof(text)) <= 0 ? "it cannot be read" : "";
}

static const char *read_maps(void)
{
	return read_of_victim("maps");
}

static const char *read_smaps(void)
{
	return read_of_victim("smaps");
}

static const char *unmerge(void)
{
	return dm_write_path(KSM "run", "2") ? "KSM does not unmerge" : "";
}

static const struct {
	const char *name, *(*op)(void);
} outsiders[NR_OUTSIDERS] = {
	[SWAPOFF]	= { "swapoff", swap_off },
	[PERF]		= { "perf_event_open", probe_by_perf },
	[TRACEFS]	= { "uprobe_events", probe_by_tracefs },
	[A_FORK]	= { "another fork", fork_too },
	[MAPS]		= { "maps", read_maps },
	[SMAPS]		= { "smaps", read_smaps },
	[UNMERGE]	= { "KSM", unmerge },
};

static bool wait_to_go(struct worker *w)
{
	char c;

	return read(w->go[0], &c, 1) == 1 && c == 'g';
}

static void tell(struct worker *w)
{
	w->done = false;
	/* If it can't be told, it will not be done. */
	if (write(w->go[1], "g", 1) != 1)
		perror("pipe");
}

static bool is_done(void *arg)
{
	struct worker *w = arg;

	return __atomic_load_n(&w->done, __ATOMIC_SEQ_CST);
}

static void done(struct worker *w, const char *why)
{
	snprintf(w->why, sizeof(w->why), "%s", why);
	__atomic_store_n(&w->done, true, __ATOMIC_SEQ_CST);
}

static const char *start(enum outsider who)
{
	struct worker *w = &scene->outsider[who];
	pid_t parent = getpid(), pid;

	pid = fork();
	if (pid < 0)
		return "no process can be made";
	if (pid) {
		w->tid = pid;
		return "";
	}
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent ||
	    munmap(at(SHARED), NR_PAGES * scene->page))
		_exit(1);
	while (wait_to_go(w))
		done(w, outsiders[who].op());
	_exit(0);
}

/* The parent: how it is made, and what it does. */

static char *map_at(char *p, size_t len, int prot, int flags, int fd)
{
	return mmap(p, len, prot, flags | MAP_FIXED_NOREPLACE, fd, 0) == p ? p : NULL;
}

static bool map_pages(int page, size_t nr)
{
	char *p = map_at(at(page), nr * scene->page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1);
	size_t i;

	for (i = 0; p && i < nr; i++)
		memset(p + i * scene->page, page + i + 1, scene->page);
	return p;
}

static bool has_pattern(int page, size_t nr)
{
	size_t i;

	for (i = 0; i < nr * scene->page; i++)
		if (at(page)[i] != (char)(page + i / scene->page + 1))
			return false;
	return true;
}

/* A file of its own: a program that is running has a uprobe nowhere else. */
static bool write_code(void)
{
#ifdef __aarch64__
	static const uint32_t nop = 0xd503201f;
#else
	static const uint32_t nop = 0x90909090;
#endif
	int fd = open(CODE_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	size_t i;

	for (i = 0; fd >= 0 && i < scene->page / sizeof(nop); i++)
		if (write(fd, &nop, sizeof(nop)) != sizeof(nop))
			break;
	close(fd);
	return i == scene->page / sizeof(nop);
}

static bool map_code(void)
{
	int fd = open(CODE_FILE, O_RDONLY | O_CLOEXEC);
	char *p = map_at(at(CODE), scene->page, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd);

	close(fd);
	return p && (*p == (char)0x90 || *p == 0x1f);
}

static bool map_file(void)
{
	char *p = map_at(at(FILE_), NR_PAGES * scene->page, PROT_READ | PROT_WRITE, MAP_PRIVATE,
			 scene->file);
	uint64_t entry;

	if (!p || madvise(p, NR_PAGES * scene->page, MADV_POPULATE_READ))
		return false;
	/* With a page of its own. Of a VMA that has none, a fork copies no pages. */
	memset(p + scene->page, FILE_ + 2, scene->page);
	if (!dm_pagemap(p, 1, &entry) || !DM_PAGE_PRESENT(entry))
		return false;
	scene->file_frame = DM_PAGE_FRAME(entry);
	return true;
}

static const char *watch(void)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_EVENT_FORK,
	};
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	reg.range.start = (uintptr_t)at(WATCHED);
	reg.range.len = NR_PAGES * scene->page;
	scene->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (map_at(at(WATCHED), reg.range.len, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1) != at(WATCHED) || scene->uffd < 0 ||
	    ioctl(scene->uffd, UFFDIO_API, &api) || ioctl(scene->uffd, UFFDIO_REGISTER, &reg))
		return "no userfaultfd";
	return "";
}

static bool is_merged(void *arg)
{
	static char text[4096];
	const char *n;

	dm_read_path("/proc/self/ksm_stat", text, sizeof(text));
	n = strstr(text, "ksm_merging_pages ");
	return n && strtol(n + strlen("ksm_merging_pages "), NULL, 10) >= NR_PAGES;
}

/* All of it one page, which the child then shares. */
static const char *share_by_ksm(void)
{
	uint64_t entry;

	memset(at(MERGED), MERGED + 1, NR_PAGES * scene->page);
	if (madvise(at(MERGED), NR_PAGES * scene->page, MADV_MERGEABLE) ||
	    dm_write_path(KSM "pages_to_scan", "10000") || dm_write_path(KSM "run", "1"))
		return "no KSM";
	if (!dm_wait_until(is_merged, NULL))
		return "KSM does not merge";
	/* What it has merged it leaves alone from now on. */
	if (dm_write_path(KSM "run", "0") || !dm_pagemap(at(MERGED), 1, &entry))
		return "no frame of the page that was merged";
	scene->ksm_frame = DM_PAGE_FRAME(entry);
	return "";
}

static const char *map_huge_file(void)
{
	size_t len = dm_read_number(HUGE_SIZE), i;
	char *p = map_at(HUGE, len, PROT_READ | PROT_WRITE, MAP_SHARED, scene->huge_file);

	if (!p)
		return "the file of a huge page can't be mapped";
	for (i = 0; i < len; i += scene->page)
		p[i] = 1 + i / scene->page % 100;
	return "";
}

/* Beside that of the program. */
static const char *victims(const char *file)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/dup_mmap_window/%s", cgroup.hierarchy, file);
	return path;
}

static const char *set_up_victim(void)
{
	const char *why = "";

	if (!map_pages(SWAPPED, NR_PAGES) || !map_file() || !map_pages(MERGED, NR_PAGES) ||
	    !map_code() || !map_pages(FAIL, 1))
		return "the VMAs can't be mapped";
	if (scene->with & SWAP && !dm_page_out(at(SWAPPED), NR_PAGES * scene->page))
		return "nothing is swapped out";
	if (scene->with & KSM_PAGES)
		why = share_by_ksm();
	if (!*why && scene->with & A_HUGE_FILE)
		why = map_huge_file();
	if (*why)
		return why;
	/* In a cgroup of its own: whose memory is short kills all that are in it. */
	if (scene->with & MUCH) {
		if ((mkdir(victims(""), 0755) && errno != EEXIST) ||
		    dm_write_path(victims("cgroup.procs"), "0"))
			return "no cgroup can be entered";
		if (dm_write_path("/proc/self/oom_score_adj", "1000") ||
		    mmap(NULL, LARGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0) == MAP_FAILED)
			return "no memory";
	}
	return watch();
}

/* A thread of the victim: a fault that copies a page, and all kinds of lock. */
static void *be_thread(void *arg)
{
	struct worker *w = arg;
	size_t len = 2 * scene->page;
	char *p;

	w->tid = syscall(SYS_gettid);
	while (wait_to_go(w)) {
		p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED) {
			done(w, "mmap() fails");
			continue;
		}
		__atomic_store_n(p, 1, __ATOMIC_RELAXED);
		/* Of a page that the child has a copy of. */
		__atomic_fetch_add(at(MERGED + 1), 0, __ATOMIC_RELAXED);
		done(w, mprotect(p, scene->page, PROT_READ) || munmap(p, len) ?
		     "mprotect() or munmap() fails" : "");
	}
	return NULL;
}

/* When all is over, in the victim. */
static const char *check_victim(void)
{
	size_t i, len;

	if (!has_pattern(SWAPPED, NR_PAGES) || !has_pattern(SHARED, NR_PAGES) ||
	    !has_pattern(FAIL, 1) || at(MERGED)[0] != MERGED + 1 || !has_pattern(FILE_ + 1, 1))
		return "the memory of the parent has changed";
	if (scene->with & A_HUGE_FILE) {
		len = dm_read_number(HUGE_SIZE);
		for (i = 0; i < len; i += scene->page)
			if (HUGE[i] != (char)(1 + i / scene->page % 100))
				return "the huge page of the parent has changed";
	}
	return "";
}

static const char *be_victim(void)
{
	static pthread_t thread;
	const char *why = set_up_victim();
	int status, err;
	pid_t pid;

	if (*why)
		return why;
	if (pthread_create(&thread, NULL, be_thread, &scene->thread))
		return "no thread";
	while (!__atomic_load_n(&scene->thread.tid, __ATOMIC_SEQ_CST))
		sched_yield();
	why = dm_get_maps(&scene->maps);
	scene->fail = dm_index_of(&scene->maps, at(FAIL));
	if (!*why)
		why = dm_arm(DM_VM_AREA_DUP, scene->fail, 0);
	if (*why)
		return why;
	__atomic_store_n(&scene->ready, true, __ATOMIC_SEQ_CST);
	if (!wait_to_go(&scene->main))
		return "the test has gone";
	pid = dm_fork(&scene->err);
	__atomic_store_n(&scene->over, true, __ATOMIC_SEQ_CST);
	dm_disarm();
	if (pid > 0)
		return "the fork does not fail";
	if (!wait_to_go(&scene->main))
		return "the test has gone";
	why = check_victim();
	if (*why)
		return why;
	/* Now one that works. No event of it is waited for. */
	close(scene->uffd);
	pid = dm_fork(&err);
	return pid < 0 || waitpid(pid, &status, 0) != pid || status ?
		"the next fork of the parent fails" : "";
}

static bool is_ready(void *arg)
{
	return __atomic_load_n(&scene->ready, __ATOMIC_SEQ_CST) ||
		dm_state_of(scene->victim) == 'Z';
}

static bool is_over(void *arg)
{
	return __atomic_load_n(&scene->over, __ATOMIC_SEQ_CST);
}

/* What hold/observe says of the victim's fork: NULL if it is not held. */
static char *observed(void)
{
	static char text[65536];
	char key[32], *p, *end;

	snprintf(key, sizeof(key), "pid: %d\n", scene->victim);
	dm_read(DM_HOLD "observe", text, sizeof(text));
	p = strstr(text, key);
	end = p ? strstr(p, "\n\n") : NULL;
	if (end)
		end[1] = '\0';
	return p;
}

static bool says(const char *text, const char *fmt, ...)
{
	static char line[128];
	va_list args;
	int n;

	va_start(args, fmt);
	n = snprintf(line, sizeof(line), "\n");
	n += vsnprintf(line + n, sizeof(line) - n, fmt, args);
	va_end(args);
	snprintf(line + n, sizeof(line) - n, "\n");
	return strstr(text, line);
}

static bool is_held(void *arg)
{
	static char text[4096], line[64];

	snprintf(line, sizeof(line), "\n%d %s %s ", scene->victim, places[scene->at],
		 scene->recovery);
	dm_read(DM_HOLD "held", text, sizeof(text));
	return strstr(text, line);
}

static bool is_held_or_over(void *arg)
{
	return is_held(NULL) || is_over(NULL);
}

static const char *make_scene(const char *recovery, enum place place)
{
	int i;

	scene = mmap(NULL, sizeof(*scene), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		     -1, 0);
	if (scene == MAP_FAILED)
		return "no memory";
	scene->recovery = recovery;
	scene->at = place;
	scene->page = sysconf(_SC_PAGESIZE);
	scene->taint = dm_taint();
	scene->file = memfd_create("window", MFD_CLOEXEC);
	scene->huge_file = memfd_create("huge", MFD_CLOEXEC);
	if (scene->file < 0 || scene->huge_file < 0 || !write_code() ||
	    pipe(scene->main.go) || pipe(scene->thread.go))
		return "no files";
	for (i = 0; i < NR_OUTSIDERS; i++)
		if (pipe(scene->outsider[i].go))
			return "no pipe";
	/* This process is the grandparent, who shares these with the child. */
	return map_pages(SHARED, NR_PAGES) ? "" : "no memory";
}

/*
 * Has a process fail to fork, and the fork be held: "" or why it is not. The
 * outsiders, a mask, are there before that.
 */
static const char *hold_fork(enum with with, unsigned int who)
{
	pid_t parent = getpid(), pid;
	const char *why;
	int i;

	scene->with = with;
	for (i = 0; i < NR_OUTSIDERS; i++) {
		why = who & 1u << i ? start(i) : "";
		if (*why)
			return why;
	}
	if (ftruncate(scene->file, NR_PAGES * scene->page) ||
	    (scene->with & A_HUGE_FILE &&
	     ftruncate(scene->huge_file, dm_read_number(HUGE_SIZE))))
		return "the files can't be made larger";
	if (dm_write(DM_HOLD "at", places[scene->at]) ||
	    dm_write(DM_HOLD "timeout-ms", NO_LONGER))
		return "the module does not hold any fork";
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return "fork fails";
	if (!pid) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
			_exit(1);
		why = be_victim();
		snprintf(scene->main.why, sizeof(scene->main.why), "%s", why);
		_exit(!!*why);
	}
	scene->victim = pid;
	if (!dm_wait_until(is_ready, NULL) || !scene->ready)
		return scene->main.why[0] ? scene->main.why : "the parent is not ready to fork";
	tell(&scene->main);
	if (!dm_wait_until(is_held_or_over, NULL) || !is_held(NULL))
		return "the fork is not held";
	if (scene->at == PINNED && !dm_wait_until(is_over, NULL))
		return "the fork does not return";
	return "";
}

static void let_go(void)
{
	dm_write(DM_HOLD "release", "all");
}

/* Waits for all of them: "" or what is wrong with one. */
static const char *end_outsiders(void)
{
	static char why[256];
	int i, status;

	why[0] = '\0';
	for (i = 0; i < NR_OUTSIDERS; i++) {
		struct worker *w = &scene->outsider[i];

		if (w->tid <= 0)
			continue;
		if (write(w->go[1], "q", 1) != 1)
			return "a pipe is broken";
		if (waitpid(w->tid, &status, 0) != w->tid || status)
			snprintf(why, sizeof(why), "%s ended badly", outsiders[i].name);
		else if (w->why[0])
			snprintf(why, sizeof(why), "%s: %s", outsiders[i].name, w->why);
	}
	return why;
}

static bool has_ended(void *arg)
{
	siginfo_t info = {};

	return !waitid(P_PID, scene->victim, &info, WEXITED | WNOHANG | WNOWAIT) &&
		info.si_pid == scene->victim;
}

/* Lets it go: the parent is as it was, and all end. */
static const char *end_hold(bool killed)
{
	const char *why = "", *ended;
	int status;

	let_go();
	if (scene->victim > 0) {
		tell(&scene->main);
		if (!dm_wait_until(has_ended, NULL)) {
			kill(scene->victim, SIGKILL);
			why = "the fork that was let go does not return";
		}
		waitpid(scene->victim, &status, 0);
		if (!*why && scene->main.why[0])
			why = scene->main.why;
		else if (!*why && (killed ? status != SIGKILL : status || scene->err != ENOMEM))
			why = "the parent does not end as it should";
	}
	ended = end_outsiders();
	if (!*why)
		why = ended;
	if (!has_pattern(SHARED, NR_PAGES) && !*why)
		why = "the memory of the grandparent has changed";
	/* What is in them is accounted. */
	if ((ftruncate(scene->file, 0) || ftruncate(scene->huge_file, 0)) && !*why)
		why = "the files can't be made smaller";
	return why;
}

/* How many lines begin so. */
static int count(const char *text, const char *key)
{
	int n = 0;

	for (; (text = strstr(text, key)); text++)
		n++;
	return n;
}

/* hold/observe: what there is to be found, to the entry. */
static const char *compare_view(char *text, int users)
{
	const struct dm_vma *v = &scene->maps.vma[scene->fail];
	const char *flags = scene->at == BEFORE || is_bare() ? "-" :
		scene->at == UNLOCKED ? "oom-skip" : "oom-skip,unstable";
	bool open = scene->at >= AFTER_UNLOCK;
	bool stale = open && left();

	if (!text)
		return "hold/observe does not show it";
	if (!says(text, "at: %s", places[scene->at]) ||
	    !says(text, "recovery: %s", scene->recovery))
		return "hold/observe shows another one";
	if (!says(text, "verdict: %s", stale ? "stale" : open ? "clean" : "locked"))
		return "the verdict is another one";
	if (!says(text, "mm-flags: %s", flags))
		return "the flags are others";
	if (!says(text, "mm-users: %d", users))
		return "mm_users is another one";
	if (count(text, "\nentry: own ") != (stale ? scene->fail : 0) ||
	    count(text, "\nentry: marker ") != stale ||
	    count(text, "\nentry: parent ") != (stale ? scene->maps.nr - scene->fail - 1 : 0))
		return "the entries are others";
	if (stale && (!says(text, "entry: marker %lx-%lx", v->start, v->end) ||
		      !says(text, "find-vma: %lx parent %lx-%lx", v->start, v[1].start, v[1].end)))
		return "the marker is elsewhere";
	if (open && !stale && !says(text, "find-vma: %lx none", v->start))
		return "find_vma() finds something";
	return "";
}

static const char *check_view(int users)
{
	char *text = observed(), *next;
	const char *why = compare_view(text, users);

	for (; *why && text && *text; text = next) {
		next = text + strcspn(text, "\n");
		next += !!*next;
		ksft_print_msg("%.*s", (int)(next - text), text);
	}
	return why;
}

/* Not before and after each test: to count exactly takes longer than all the rest. */
FIXTURE(first) {
};

FIXTURE_SETUP(first)
{
}

FIXTURE_TEARDOWN(first)
{
}

TEST_F(first, count)
{
	ASSERT_EQ(NULL, dm_uncountable());
	dm_get_counters(before);
}

#define KSM_PAGES_LEN	32

static void begin(struct __test_metadata *_metadata, struct dm_saved *saved, char *ksm_pages,
		  const char *recovery, enum place place)
{
	dm_save(saved);
	dm_read_path(KSM "pages_to_scan", ksm_pages, KSM_PAGES_LEN);
	ASSERT_STREQ("", dm_use_recovery(recovery));
	ASSERT_STREQ("", make_scene(recovery, place));
}

static void put_back(const struct dm_saved *saved, const char *ksm_pages)
{
	/* Before anything that a held fork would keep waiting. */
	let_go();
	dm_swap_off();
	unlink(CODE_FILE);
	if (ksm_pages[0])
		dm_write_path(KSM "pages_to_scan", ksm_pages);
	dm_restore(saved);
}

FIXTURE(window) {
	struct dm_saved saved;
	char ksm_pages[KSM_PAGES_LEN];
};

FIXTURE_VARIANT(window) {
	const char *recovery;
	enum place at;
};

FIXTURE_VARIANT_ADD(window, rust_before) { "rust", BEFORE };
FIXTURE_VARIANT_ADD(window, rust_parent_unlocked) { "rust", UNLOCKED };
FIXTURE_VARIANT_ADD(window, rust_after) { "rust", AFTER };
FIXTURE_VARIANT_ADD(window, rust_after_unlock) { "rust", AFTER_UNLOCK };
FIXTURE_VARIANT_ADD(window, rust_pinned) { "rust", PINNED };
FIXTURE_VARIANT_ADD(window, upstream_before) { "upstream", BEFORE };
FIXTURE_VARIANT_ADD(window, upstream_after) { "upstream", AFTER };
FIXTURE_VARIANT_ADD(window, upstream_after_unlock) { "upstream", AFTER_UNLOCK };
FIXTURE_VARIANT_ADD(window, upstream_pinned) { "upstream", PINNED };
FIXTURE_VARIANT_ADD(window, xa_zero_before) { "xa-zero", BEFORE };
FIXTURE_VARIANT_ADD(window, xa_zero_after) { "xa-zero", AFTER };
FIXTURE_VARIANT_ADD(window, xa_zero_after_unlock) { "xa-zero", AFTER_UNLOCK };
FIXTURE_VARIANT_ADD(window, xa_zero_pinned) { "xa-zero", PINNED };

FIXTURE_SETUP(window)
{
	if (variant->at == UNLOCKED && !dm_lets_go_early(variant->recovery))
		SKIP(return, "the parent is not let go early here");
	begin(_metadata, &self->saved, self->ksm_pages, variant->recovery, variant->at);
}

FIXTURE_TEARDOWN_PARENT(window)
{
	put_back(&self->saved, self->ksm_pages);
}

/* To the end of all that it was to wait for. */
static void still_held(struct __test_metadata *_metadata)
{
	ASSERT_TRUE(is_held(NULL)) TH_LOG("it is held no more");
}

static void end(struct __test_metadata *_metadata, bool killed)
{
	unsigned long taint = scene->taint;

	ASSERT_STREQ("", end_hold(killed));
	EXPECT_STREQ("", dm_check_taint(taint));
}

static bool swapoff_has_come(void *arg)
{
	const char *text = observed();

	return text && says(text, "mm-users: 2") &&
		dm_sleeps_in(scene->outsider[SWAPOFF].tid, "swapoff");
}

/* Those of the victim: it has passed the child, which comes first. */
static bool nothing_is_swapped(void *arg)
{
	uint64_t entry[NR_PAGES];
	char path[64];
	bool none;
	int i, fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", scene->victim);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	none = pread(fd, entry, sizeof(entry), (uintptr_t)at(SWAPPED) / scene->page * 8) ==
		sizeof(entry);
	close(fd);
	for (i = 0; i < NR_PAGES; i++)
		none &= !DM_PAGE_SWAPPED(entry[i]);
	return none;
}

static const char *begin_swapoff(void)
{
	const char *why = dm_swap_on() ?: "";

	if (!*why)
		why = hold_fork(SWAP, 1 << SWAPOFF);
	if (!*why)
		why = check_view(1);
	if (!*why)
		tell(&scene->outsider[SWAPOFF]);
	return why;
}

/* The child has a swap entry, so it is on the list of those that swapoff visits. */
TEST_F(window, swapoff)
{
	struct worker *w;

	ASSERT_STREQ("", begin_swapoff());
	w = &scene->outsider[SWAPOFF];
	if (variant->at < AFTER_UNLOCK) {
		ASSERT_TRUE(dm_wait_until(swapoff_has_come, NULL))
			TH_LOG("swapoff does not wait for the child");
		EXPECT_FALSE(is_done(w));
	} else {
		ASSERT_TRUE(dm_wait_until(nothing_is_swapped, NULL))
			TH_LOG("swapoff does not get past the child");
		/* Of what it must not look at it finds the swap entries used. */
		EXPECT_TRUE(left() || dm_wait_until(is_done, w));
		EXPECT_EQ(!left(), is_done(w));
	}
	still_held(_metadata);
	let_go();
	EXPECT_TRUE(dm_wait_until(is_done, w)) TH_LOG("swapoff does not end");
	end(_metadata, false);
}

/* Where a uprobe is registered: with it wait all other forks of the machine. */
static bool waits_for_forks(void *arg)
{
	struct worker *w = arg;

	return dm_sleeps_in(w->tid, "uprobe");
}

static bool is_asleep(void *arg)
{
	struct worker *w = arg;

	return dm_state_of(w->tid) == 'D';
}

/* Not until the child's mm is given back, unless the fork goes on. */
TEST_F(window, uprobe)
{
	const unsigned int who = 1 << PERF | 1 << TRACEFS | 1 << A_FORK;
	const char *why = no_uprobes();
	int i;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_STREQ("", hold_fork(NOTHING, who));
	ASSERT_STREQ("", check_view(1));
	/* A fork comes last: it waits for who waits. */
	for (i = PERF; i <= A_FORK; i++) {
		struct worker *w = &scene->outsider[i];

		tell(w);
		ASSERT_TRUE(dm_wait_until(variant->at == PINNED ? is_done :
					  i == A_FORK ? is_asleep : waits_for_forks, w))
			TH_LOG("%s", outsiders[i].name);
	}
	if (variant->at == PINNED)
		EXPECT_STREQ("", check_view(1));
	for (i = PERF; i <= A_FORK; i++)
		EXPECT_EQ(variant->at == PINNED, is_done(&scene->outsider[i]));
	still_held(_metadata);
	let_go();
	for (i = PERF; i <= A_FORK; i++)
		EXPECT_TRUE(dm_wait_until(is_done, &scene->outsider[i]))
			TH_LOG("%s waits for ever", outsiders[i].name);
	end(_metadata, false);
}

/* How often a page is mapped: no lock is needed to know. -1: it can't be known. */
static long nr_mapped(uint64_t frame)
{
	int fd = open("/proc/kpagecount", O_RDONLY | O_CLOEXEC);
	uint64_t n;

	if (pread(fd, &n, sizeof(n), frame * sizeof(n)) != sizeof(n))
		n = -1;
	close(fd);
	return n;
}

/* This process is one that has it. */
static uint64_t shared_frame(int i)
{
	uint64_t entry = 0;

	return dm_pagemap(at(SHARED + i), 1, &entry) && DM_PAGE_PRESENT(entry) ?
		DM_PAGE_FRAME(entry) : 0;
}

/* By way of the file to all who have mapped it, whatever locks these have. */
static void change_file(struct __test_metadata *_metadata)
{
	int both = has_pages() ? 2 : 1;

	ASSERT_STREQ("", hold_fork(NOTHING, 0));
	ASSERT_STREQ("", check_view(1));
	EXPECT_EQ(both, nr_mapped(scene->file_frame));
	EXPECT_EQ(0, fallocate(scene->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			       scene->page));
	EXPECT_EQ(0, ftruncate(scene->file, 2 * scene->page));
	/* All of these mappings are gone, so the page is free. */
	EXPECT_EQ(0, nr_mapped(scene->file_frame));
	ASSERT_STREQ("", check_view(1));
	still_held(_metadata);
	end(_metadata, false);
}

/* By way of the page: swapped out is only what nobody has mapped any more. */
static void reclaim_pages(struct __test_metadata *_metadata)
{
	uint64_t frame = shared_frame(0);
	int try;

	ASSERT_EQ(NULL, dm_swap_on());
	ASSERT_STREQ("", hold_fork(KSM_PAGES, 1 << UNMERGE));
	ASSERT_STREQ("", check_view(1));
	EXPECT_EQ(2 + has_pages(), nr_mapped(frame));
	EXPECT_EQ((1 + has_pages()) * NR_PAGES, nr_mapped(scene->ksm_frame));
	for (try = 0; try < 20 && shared_frame(0); try++) {
		/* What another CPU has yet to put on the LRU is not reclaimed. */
		dm_write_path("/proc/sys/vm/drop_caches", "1");
		dm_write_path(dm_cgroup_path(&cgroup, "memory.reclaim"), "16M swappiness=max");
	}
	EXPECT_EQ(0, shared_frame(0));
	ASSERT_STREQ("", check_view(1));
	/* KSM has the parent's page to look for, and takes its lock for that. */
	tell(&scene->outsider[UNMERGE]);
	ASSERT_TRUE(dm_wait_until(parent_is_free() ? is_done : is_asleep,
				  &scene->outsider[UNMERGE]));
	still_held(_metadata);
	let_go();
	EXPECT_TRUE(dm_wait_until(is_done, &scene->outsider[UNMERGE]));
	end(_metadata, false);
	dm_swap_off();
}

/* What this process has mapped elsewhere becomes one page, also for those held. */
TEST_F(window, file_is_collapsed)
{
	long len = dm_read_number(HUGE_SIZE);
	char *p, *huge;

	if (len <= 0 || len > LOW - HUGE)
		SKIP(return, "no huge pages of that size");
	p = mmap(NULL, 2 * len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	huge = p + (-(uintptr_t)p & (len - 1));
	ASSERT_EQ(huge, mmap(huge, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			     scene->huge_file, 0));
	ASSERT_STREQ("", hold_fork(A_HUGE_FILE, 0));
	ASSERT_STREQ("", check_view(1));
	EXPECT_EQ(0, madvise(huge, len, MADV_COLLAPSE)) TH_LOG("%s", strerror(errno));
	ASSERT_STREQ("", check_view(1));
	still_held(_metadata);
	end(_metadata, false);
	munmap(p, 2 * len);
}

/* Of the parent, who is held: others look at it, or are its threads. */
static void look_at_parent(struct __test_metadata *_metadata)
{
	struct worker * const who[] = {
		&scene->thread, &scene->outsider[MAPS], &scene->outsider[SMAPS]
	};
	static const char * const names[] = { "a thread", "maps", "smaps" };
	size_t i;

	ASSERT_STREQ("", hold_fork(NOTHING, 1 << MAPS | 1 << SMAPS));
	ASSERT_STREQ("", check_view(1));
	for (i = 0; i < ARRAY_SIZE(who); i++) {
		tell(who[i]);
		ASSERT_TRUE(dm_wait_until(parent_is_free() ? is_done : is_asleep, who[i]))
			TH_LOG("%s", names[i]);
	}
	for (i = 0; i < ARRAY_SIZE(who); i++)
		EXPECT_EQ(parent_is_free(), is_done(who[i])) TH_LOG("%s", names[i]);
	still_held(_metadata);
	let_go();
	for (i = 0; i < ARRAY_SIZE(who); i++)
		EXPECT_TRUE(dm_wait_until(is_done, who[i])) TH_LOG("%s waits", names[i]);
	EXPECT_STREQ("", scene->thread.why);
	end(_metadata, false);
}

/*
 * Who serves its userfaultfd is not let in as long as the fork is under way, and never
 * hears of a child.
 */
static void serve_userfaultfd(struct __test_metadata *_metadata)
{
	struct uffdio_copy copy = { .len = scene->page };
	struct uffd_msg msg;
	int pidfd, uffd;

	ASSERT_STREQ("", hold_fork(NOTHING, 0));
	ASSERT_STREQ("", check_view(1));
	pidfd = syscall(SYS_pidfd_open, scene->victim, 0);
	uffd = syscall(SYS_pidfd_getfd, pidfd, scene->uffd, 0);
	ASSERT_GE(uffd, 0);
	copy.dst = (uintptr_t)at(WATCHED);
	copy.src = (uintptr_t)at(SHARED);
	if (scene->at == PINNED) {
		EXPECT_EQ(0, ioctl(uffd, UFFDIO_COPY, &copy)) TH_LOG("%s", strerror(errno));
	} else {
		EXPECT_EQ(-1, ioctl(uffd, UFFDIO_COPY, &copy));
		EXPECT_EQ(EAGAIN, errno);
	}
	EXPECT_EQ(-1, read(uffd, &msg, sizeof(msg)));
	EXPECT_EQ(EAGAIN, errno);
	still_held(_metadata);
	let_go();
	ASSERT_TRUE(dm_wait_until(is_over, NULL));
	copy.dst += scene->page;
	EXPECT_EQ(0, ioctl(uffd, UFFDIO_COPY, &copy)) TH_LOG("%s", strerror(errno));
	EXPECT_EQ(-1, read(uffd, &msg, sizeof(msg)));
	EXPECT_EQ(EAGAIN, errno);
	close(uffd);
	close(pidfd);
	end(_metadata, false);
}

/* The cgroup is, as soon as its last process has left. */
static bool is_removed(void *arg)
{
	return !rmdir(victims("")) || errno == ENOENT;
}

static bool trace_has(void *arg)
{
	static char text[65536];

	dm_read_path(TRACING "trace", text, sizeof(text));
	return strstr(text, arg);
}

/*
 * The parent is killed for want of memory. The hold ends with it: the kernel would
 * wait for its memory as long.
 */
static void be_killed(struct __test_metadata *_metadata, bool by_sysrq)
{
	char *ends = scene->at == PINNED ? "ends: exit" : "ends: killed";
	char max[32];

	close(open(TRACING "trace", O_WRONLY | O_TRUNC | O_CLOEXEC));
	ASSERT_EQ(0, dm_write_path(HOLD_EVENT, "1"));
	ASSERT_STREQ("", hold_fork(MUCH, 0));
	ASSERT_STREQ("", check_view(1));
	if (by_sysrq) {
		ASSERT_EQ(0, dm_write_path(SYSRQ, "f"));
	} else {
		snprintf(max, sizeof(max), "%lu",
			 dm_read_number(victims("memory.current")) - LARGE / 2);
		ASSERT_EQ(0, dm_write_path(victims("memory.max"), max));
	}
	ASSERT_TRUE(dm_wait_until(has_ended, NULL)) TH_LOG("it is not killed");
	EXPECT_TRUE(dm_wait_until(trace_has, ends)) TH_LOG("its fork is held still");
	EXPECT_FALSE(is_held(NULL));
	dm_write_path(HOLD_EVENT, "0");
	end(_metadata, true);
	EXPECT_TRUE(dm_wait_until(is_removed, NULL));
}

TEST_F(window, oom_of_a_cgroup)
{
	be_killed(_metadata, false);
}

TEST_F(window, oom_by_sysrq)
{
	if (access(SYSRQ, W_OK))
		SKIP(return, "no " SYSRQ " (CONFIG_MAGIC_SYSRQ)");
	be_killed(_metadata, true);
}

TEST_F(window, file_is_punched_and_truncated)
{
	change_file(_metadata);
}

TEST_F(window, pages_are_reclaimed)
{
	reclaim_pages(_metadata);
}

TEST_F(window, parent)
{
	look_at_parent(_metadata);
}

TEST_F(window, userfaultfd)
{
	serve_userfaultfd(_metadata);
}

/* What does not even look whether the mm is unstable. */
FIXTURE(bare) {
	struct dm_saved saved;
	char ksm_pages[KSM_PAGES_LEN];
};

FIXTURE_VARIANT(bare) {
	enum place at;
};

FIXTURE_VARIANT_ADD(bare, after_unlock) { AFTER_UNLOCK };
FIXTURE_VARIANT_ADD(bare, pinned) { PINNED };

FIXTURE_SETUP(bare)
{
	begin(_metadata, &self->saved, self->ksm_pages, "xa-zero-bare", variant->at);
}

FIXTURE_TEARDOWN_PARENT(bare)
{
	put_back(&self->saved, self->ksm_pages);
}

TEST_F(bare, file_is_punched_and_truncated)
{
	change_file(_metadata);
}

TEST_F(bare, pages_are_reclaimed)
{
	reclaim_pages(_metadata);
}

TEST_F(bare, parent)
{
	look_at_parent(_metadata);
}

TEST_F(bare, userfaultfd)
{
	serve_userfaultfd(_metadata);
}

/* Both of them in a process like that of each test, one before all others. */
FIXTURE(last) {
};

FIXTURE_SETUP(last)
{
}

FIXTURE_TEARDOWN(last)
{
}

TEST_F(last, nothing_is_left)
{
	if (!before->v[DM_SLAB_VMA])
		SKIP(return, "nothing was counted before");
	EXPECT_STREQ("", dm_check_counters(before, DM_PATIENT));
}

/* For the kernel's log, which is what is left of it. */
static void note(const char *what)
{
	char text[128];

	snprintf(text, sizeof(text), "dup_mmap: %s is let in\n", what);
	dm_write_path("/dev/kmsg", text);
}

/* Of outsiders one, at the place where it dies of what it finds: "survived" if not. */
static const char *race(const char *what, const char *recovery)
{
	bool swap = !strcmp(what, "swapoff");
	enum outsider who = swap ? SWAPOFF : PERF;
	const char *why = dm_unavailable() ?: "", *ended;

	if (!*why && !swap)
		why = no_uprobes() ?: "";
	if (!*why)
		why = dm_use_recovery(recovery);
	if (!*why)
		why = make_scene(recovery, swap ? AFTER_UNLOCK : PINNED);
	if (*why)
		return why;
	if (swap)
		why = dm_swap_on() ?: "";
	if (!*why)
		why = hold_fork(swap ? SWAP : NOTHING, 1 << who);
	if (!*why)
		why = check_view(1);
	if (!*why) {
		note(what);
		tell(&scene->outsider[who]);
		if (!dm_wait_until(swap ? nothing_is_swapped : is_done, &scene->outsider[who]))
			why = "it does not get in";
		else if (!is_held(NULL))
			why = "the fork is held no more";
	}
	ended = end_hold(false);
	dm_swap_off();
	unlink(CODE_FILE);
	return *why ? why : ended;
}

int main(int argc, char **argv)
{
	const char *why;
	int ret;

	if (argc == 4 && !strcmp(argv[1], "--race")) {
		why = race(argv[2], argv[3]);
		printf("%s, %s: %s\n", argv[2], argv[3], *why ? why : "survived");
		return !!*why;
	}
	dm_with_room_above(argv);
	dm_skip_unless_available();
	before = mmap(NULL, sizeof(*before), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	why = before == MAP_FAILED ? "no memory" : dm_cgroup_enter(&cgroup);
	if (why) {
		ksft_print_header();
		ksft_exit_skip("%s\n", why);
	}
	ret = test_harness_run(argc, argv);
	dm_cgroup_leave(&cgroup);
	return ret;
}
