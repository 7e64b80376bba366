// SPDX-License-Identifier: GPL-2.0
/*
 * A fork() that fails half way, three times, and what the kernel did about it. Then it
 * is held half way, and another process looks at what there is.
 *
 * usage: dup_mmap_demo [-k]	(as root, module loaded; -k keeps it loaded)
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dup_mmap.h"

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

static struct dm_maps maps;
static int bad;

static const char *kind_of(const struct dm_vma *vma)
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

static void verdict(const char *what, const char *why)
{
	printf("  %-8s%s%s%s\n", *why ? "BAD" : "ok", what, *why ? ": " : "", why);
	if (*why)
		bad++;
}

static const char *check_memory(void)
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

/*
 * The window: a fork that fails is held. Meanwhile another process, the outsider, looks
 * at the child, and has another thread of this one map a page.
 */
enum { XA_ZERO, UPSTREAM, RUST, NR_RECOVERIES };

static const char * const recoveries[NR_RECOVERIES] = { "xa-zero", "upstream", "rust" };

#define HOLD_MS		"60000"

enum thread { NOT_ASKED, GOES_ON, WAITS, LOST };

static const char * const thread_text[] = { "?", "goes on", "waits", "is lost" };

/* In one read and write. */
struct job {
	bool last;		/* it has nothing more to do */
	enum thread thread;	/* what that has to come to, before the fork is let go */
};

struct look {
	bool held;		/* the fork, as long as it took to look */
	enum thread thread;
	char text[8192];	/* hold/observe */
};

/* Each a pipe. Nothing shared is mapped: this process keeps its VMAs. */
static int go[2], gone_on[2], jobs[2], looks[2];
static pid_t thread_id;
/* Its own, so that there is no further VMA. */
static char thread_stack[256 << 10];

static void *other_thread(void *unused)
{
	size_t len = sysconf(_SC_PAGESIZE);
	char c, *p;

	__atomic_store_n(&thread_id, syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	while (read(go[0], &c, 1) == 1) {
		p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
		if (p == MAP_FAILED)
			break;
		__atomic_store_n(p, 1, __ATOMIC_RELAXED);
		if (munmap(p, len) || write(gone_on[1], &c, 1) != 1)
			break;
	}
	return NULL;
}

/* Before anybody looks at the VMAs: a thread takes memory from the heap. */
static const char *start_thread(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (pipe(go) || pipe(gone_on) || pipe(jobs) || pipe(looks))
		return "no pipe";
	if (pthread_attr_init(&attr) ||
	    pthread_attr_setstack(&attr, thread_stack, sizeof(thread_stack)) ||
	    pthread_create(&thread, &attr, other_thread, NULL))
		return "no thread";
	pthread_attr_destroy(&attr);
	while (!__atomic_load_n(&thread_id, __ATOMIC_SEQ_CST))
		sched_yield();
	return "";
}

/* The rest is in the outsider. */
static bool is_held(void *arg)
{
	static char text[1024];
	pid_t pid = *(pid_t *)arg;
	char *line = text;

	if (dm_read(DM_HOLD "held", text, sizeof(text)) <= 0)
		return false;
	for (; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (*line != '#' && atoi(line) == pid)
			return true;
	}
	return false;
}

static bool has_gone_on(void *unused)
{
	struct pollfd fd = { .fd = gone_on[0], .events = POLLIN };

	return poll(&fd, 1, 0) == 1;
}

static bool waits_or_has_gone_on(void *unused)
{
	return dm_state_of(thread_id) == 'D' || has_gone_on(NULL);
}

static enum thread ask_thread(enum thread wanted)
{
	char c = 0;

	if (write(go[1], &c, 1) != 1)
		return LOST;
	if (!dm_wait_until(wanted == GOES_ON ? has_gone_on : waits_or_has_gone_on, NULL))
		return LOST;
	return has_gone_on(NULL) ? GOES_ON : WAITS;
}

static void look_at_it(pid_t pid, const struct job *job, struct look *look)
{
	char text[16], c;

	memset(look, 0, sizeof(*look));
	if (!dm_wait_until(is_held, &pid))
		return;
	dm_read(DM_HOLD "observe", look->text, sizeof(look->text));
	if (job->thread != NOT_ASKED)
		look->thread = ask_thread(job->thread);
	look->held = is_held(&pid);
	snprintf(text, sizeof(text), "%d", pid);
	dm_write(DM_HOLD "release", text);
	/* Who has waited goes on now. */
	if (look->thread == GOES_ON || look->thread == WAITS)
		if (!dm_wait_until(has_gone_on, NULL) || read(gone_on[0], &c, 1) != 1)
			look->thread = LOST;
}

static pid_t start_outsider(void)
{
	static struct look look;
	pid_t parent = getpid(), pid = fork();
	struct job job;

	if (pid)
		return pid;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(1);
	while (read(jobs[0], &job, sizeof(job)) == sizeof(job) && !job.last) {
		look_at_it(parent, &job, &look);
		if (write(looks[1], &look, sizeof(look)) != sizeof(look))
			_exit(1);
	}
	_exit(0);
}

/* And here again in the process that forks. */
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
	if (write(jobs[1], &job, sizeof(job)) != sizeof(job))
		return "there is no outsider";
	pid = dm_fork(&err);
	if (pid > 0)
		waitpid(pid, &status, 0);
	dm_disarm();
	if (read(looks[0], look, sizeof(*look)) != sizeof(*look))
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

static void show_window(int index)
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
	if (outsider > 0 && write(jobs[1], &end, sizeof(end)) == sizeof(end))
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
