// SPDX-License-Identifier: GPL-2.0
/*
 * Address spaces that nobody thought of. libFuzzer makes bytes, and lib/ops.h takes them for
 * operations: mmap, munmap, mprotect, madvise, mremap, mlock, mbind, userfaultfd, fork and
 * more. Then a fork of that process fails, at one of its steps or at an allocation in it,
 * first under rust and then under upstream. The model judges each; both must leave the same
 * record, and the memory of the process as it was.
 *
 * libFuzzer goes on from inputs that showed something new: VMAs with other flags, other
 * neighbours, a step at one of them.
 *
 * usage: spaces                 the test: 30 address spaces, in the long form 1,000; on User
 *                               Mode Linux 400 and 100,000; or as many as DUP_MMAP_SPACES says
 *        spaces FILE            that one again
 *        spaces -OPTION...      libFuzzer's options, such as -seed= and -runs=
 *
 * What fails is printed, with the seed, and then the shortest that was found to fail.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dup_mmap.h"
#include "lib/arena.h"
#include "lib/content.h"
#include "lib/libfuzzer.h"
#include "lib/ops.h"

#define FEW		"30"
#define FEW_UM		"400"
#define MANY		"1000"
#define MANY_UM		"100000"
#define NR		"DUP_MMAP_SPACES"
#define FOUND		"/tmp/spaces-found"
#define SHORTEST	"/tmp/spaces-shortest"
#define SAID		"/tmp/spaces-said"
/* Takes what the control looks for to be wrong. */
#define PLANT		"DUP_MMAP_PLANT"
#define NR_FEATURES	65536
#define NR_ALLOCATIONS	8
#define LONG		1000	/* address spaces */
#define TRIES		100	/* to make it shorter, without any success */
#define TRIES_AGAIN	5	/* while other processes come and go */

/* An input is this and operations. */
struct aim {
	uint8_t point;
	uint8_t vma;		/* the one there, or the next one */
	uint8_t how;		/* below 192 the step itself, then one of its allocations */
};

#define MAX_SIZE	(sizeof(struct aim) + DM_MAX_OPS * sizeof(struct dm_op))

/* What libFuzzer takes for coverage; shared with the process that tries an input. */
static _Alignas(NR_FEATURES) uint8_t features[NR_FEATURES] DM_EXTRA_COUNTERS;

/* Of that process. */
static struct verdict {
	char why[600], aim[160];
	int vmas;
	unsigned long inputs, failed, worked;	/* so far; forks */
} *verdict;

static bool is_planted, makes_shorter;
static pid_t fuzzer;

struct input {
	struct aim aim;
	size_t nr;
	struct dm_op op[DM_MAX_OPS];
};

static void parse(struct input *in, const uint8_t *data, size_t size)
{
	memset(in, 0, sizeof(*in));
	memcpy(&in->aim, data, size < sizeof(in->aim) ? size : sizeof(in->aim));
	if (size <= sizeof(in->aim))
		return;
	in->nr = (size - sizeof(in->aim)) / sizeof(*in->op);
	if (in->nr > DM_MAX_OPS)
		in->nr = DM_MAX_OPS;
	memcpy(in->op, data + sizeof(in->aim), in->nr * sizeof(*in->op));
}

static unsigned int hash(const char *text, unsigned int start)
{
	while (*text)
		start = (start ^ (unsigned char)*text++) * 16777619u;
	return start;
}

static void add_feature(unsigned int h)
{
	features[h % NR_FEATURES] = 1;
}

static unsigned int allocation(const struct aim *aim)
{
	return aim->how < 192 ? 0 : 1 + aim->how % NR_ALLOCATIONS;
}

/* By its address: other operations less, and it is still the same. -1: the point has none. */
static int vma_of(const struct aim *aim, const struct dm_maps *maps)
{
	int i = 0;

	if (!dm_points[aim->point % DM_NR_POINTS].has_vma)
		return -1;
	while (maps->vma[i].end <= (unsigned long)dm_arena_at(aim->vma))
		i++;
	return i;
}

static void add_features(const struct dm_series *s, enum dm_point point, int index)
{
	int i;

	for (i = 0; i < s->maps.nr; i++) {
		const struct dm_vma *vma = &s->maps.vma[i];
		unsigned int h = hash(vma->flags, 1);

		add_feature(h);
		add_feature(hash(i ? vma[-1].flags : "", h));
		if (i == index)
			add_feature(hash(dm_points[point].name, h));
	}
}

/* An allocation of that step, if it has so many. */
static const char *fail_allocation(struct dm_series *s, enum dm_point point, int index,
				   unsigned int nth, struct dm_record *rec)
{
	struct dm_shot shot;
	const char *why;
	char nr[16];

	why = dm_aim(point, index, 0);
	if (*why)
		return why;
	snprintf(nr, sizeof(nr), "%u", nth);
	if (dm_write(DM_FAIL "alloc-nth", nr))
		return "cannot write alloc-nth";
	why = dm_watch_fork(&shot, NULL, NULL);
	dm_write(DM_FAIL "alloc-nth", "0");
	dm_write(DM_FAIL "times", "0");
	memset(rec, 0, sizeof(*rec));
	rec->none = !shot.err;
	if (*why || !shot.err)
		return why;
	return dm_judge_shot(&shot, &s->maps, s->recovery, rec);
}

/* What the control is to find: a VMA above one with MADV_DONTFORK. */
static bool is_wrong(const struct dm_series *s, int index)
{
	int i;

	for (i = 0; i < index && is_planted; i++)
		if (s->maps.vma[i].dontcopy)
			return true;
	return false;
}

static const char *fail_under(struct dm_series *s, const struct aim *aim, const char *recovery,
			      struct dm_record *rec)
{
	enum dm_point point = aim->point % DM_NR_POINTS;
	int index = vma_of(aim, &s->maps);
	unsigned int nth = allocation(aim);
	const char *why;

	snprintf(verdict->aim, sizeof(verdict->aim), "%s, VMA %d (%lx-%lx), allocation %u, %s",
		 dm_points[point].name, index, index < 0 ? 0 : s->maps.vma[index].start,
		 index < 0 ? 0 : s->maps.vma[index].end, nth, recovery);
	add_features(s, point, index);
	why = dm_use_recovery(recovery);
	if (*why)
		return why;
	s->recovery = recovery;
	why = nth ? fail_allocation(s, point, index, nth, rec) :
		dm_shoot(s, point, index, 0, rec);
	if (!*why && is_wrong(s, index))
		why = "planted";
	if (rec->none)
		verdict->worked++;
	else
		verdict->failed++;
	return why;
}

/* But for the time that it took, and what it says of the process. */
static const char *compare(const struct dm_record *a, const struct dm_record *b)
{
	if (a->none != b->none)
		return "the fork fails under one of rust and upstream only";
	if (a->none)
		return "";
	if (strcmp(a->point, b->point) || a->index != b->index || a->err != b->err ||
	    strcmp(a->class, b->class) || a->end != b->end || a->copied != b->copied ||
	    a->torn_down != b->torn_down || a->uncharged != b->uncharged ||
	    strcmp(a->mm_flags, b->mm_flags))
		return "the records of rust and upstream differ";
	return "";
}

static const char *try(const struct input *in)
{
	static struct dm_content content;
	struct dm_record rust, upstream;
	static struct dm_series series;
	const char *why;
	size_t i;

	why = dm_ops_begin();
	for (i = 0; i < in->nr && !*why; i++)
		dm_do_op(&in->op[i]);
	if (!*why)
		why = dm_take_content(&content, dm_arena_start(), dm_arena_end());
	if (!*why)
		why = dm_begin_series(&series, "");
	verdict->vmas = series.maps.nr;
	if (!*why)
		why = fail_under(&series, &in->aim, "rust", &rust);
	if (!*why)
		why = fail_under(&series, &in->aim, "upstream", &upstream);
	dm_end_series();
	/* An allocation that fills a cache is there for the first one only. */
	if (!*why && !allocation(&in->aim))
		why = compare(&rust, &upstream);
	if (!*why)
		why = dm_check_content(&content);
	if (!*why && dm_try_fork())
		why = "a fork fails that nobody asked to";
	dm_ops_done();
	return why;
}

/*
 * Forks the process that tries an input, whenever it is told to, and says how that one has
 * ended. It has no memory but this program's own: libFuzzer's is 25 MB, and would be copied
 * by each fork.
 */
static struct {
	int go[2], ended[2];
	struct input *input;	/* shared */
} server;

/* *disturbed: another process has come or gone, and with it what it had. */
static int try_in_child(bool *disturbed)
{
	long before, moved;
	int status;
	pid_t pid;

	/* Who comes or goes from now on. */
	dm_others_changed();
	before = dm_committed_as();
	*disturbed = false;
	snprintf(verdict->why, sizeof(verdict->why), "it did not end by itself");
	pid = dm_bare_fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		snprintf(verdict->why, sizeof(verdict->why), "%s", try(server.input));
		syscall(SYS_exit_group, 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	moved = dm_committed_as() - before;
	/* A file that was mapped is closed by a worker of the kernel. */
	if (moved) {
		dm_wait_until_idle();
		moved = dm_committed_as() - before;
	}
	/* What else may be late. */
	if (moved) {
		dm_drain();
		moved = dm_committed_as() - before;
	}
	if (!verdict->why[0] && moved) {
		*disturbed = dm_others_changed();
		snprintf(verdict->why, sizeof(verdict->why),
			 "Committed_AS moved by %ld kB from before the process to after it", moved);
	}
	return status;
}

static void serve(void)
{
	int status, try;
	bool disturbed;
	char c;

	/* libFuzzer ends by itself when an input takes too long. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(server.go[1]);
	close(server.ended[0]);
	while (read(server.go[0], &c, 1) == 1) {
		for (try = 0, disturbed = true; disturbed && try < TRIES_AGAIN; try++)
			status = try_in_child(&disturbed);
		if (write(server.ended[1], &status, sizeof(status)) != sizeof(status))
			break;
	}
	_exit(0);
}

static int one(const uint8_t *data, size_t size)
{
	struct input *in = server.input;
	int status = -1;
	size_t i;

	parse(in, data, size);
	verdict->inputs++;
	if (write(server.go[1], "g", 1) == 1)
		/* libFuzzer's timer interrupts it. */
		while (read(server.ended[0], &status, sizeof(status)) < 0 && errno == EINTR)
			;
	if (!status && !verdict->why[0])
		return 0;
	dm_disarm();
	fprintf(stderr, "wrong: %s (status %#x)\nat: %s\nof %d VMAs, after %zu operations:\n",
		verdict->why, status, verdict->aim, verdict->vmas, in->nr);
	for (i = 0; i < in->nr; i++)
		dm_print_op(stderr, &in->op[i]);
	fprintf(stderr, "bytes: ");
	for (i = 0; i < size; i++)
		fprintf(stderr, "%02x", data[i]);
	fprintf(stderr, "\n");
	/* libFuzzer keeps the input, and ends. */
	abort();
}

/* Whole operations; else what comes behind a byte that is gone would be others. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed)
{
	const size_t head = sizeof(struct aim), each = sizeof(struct dm_op);
	size_t nr, at, more;

	if (max < head)
		return LLVMFuzzerMutate(data, size, max);
	if (max > MAX_SIZE)
		max = MAX_SIZE;
	if (size < head) {
		memset(data + size, 0, head - size);
		size = head;
	}
	nr = (size - head) / each;
	if (rand_r(&seed) % (makes_shorter ? 8 : 2) == 0)
		data[rand_r(&seed) % head] = rand_r(&seed);
	if (makes_shorter && nr) {
		at = head + rand_r(&seed) % nr * each;
		memmove(data + at, data + at + each, size - at - each);
		size -= each;
	} else if (rand_r(&seed) % 2) {
		for (more = 1 + rand_r(&seed) % 32; more && size + each <= max; more--)
			for (at = 0; at < each; at++)
				data[size++] = rand_r(&seed);
	} else {
		size = LLVMFuzzerMutate(data, size, max);
	}
	return size < max ? size : max;
}

/* libFuzzer calls exit() when it is done. */
static void sum_up(void)
{
	if (getpid() != fuzzer)
		return;
	printf("# %lu address spaces: %lu forks failed, %lu worked\n", verdict->inputs,
	       verdict->failed, verdict->worked);
	fflush(stdout);
	/* Then it has not looked. */
	if (verdict->inputs > 100 && verdict->failed < verdict->inputs / 2)
		_exit(1);
}

static void *share(void *at, size_t len)
{
	return mmap(at, len, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | (at ? MAP_FIXED : 0), -1, 0);
}

/*
 * The test and a person have the same options, so that the same seed is the same search. Those
 * that are given come last, and win.
 */
static int drive(int argc, char **argv)
{
	static char max_len[32];
	char *with[64] = {
		argv[0], "-verbosity=0", "-timeout=120", "-rss_limit_mb=0", "-len_control=0",
		max_len,
	};
	char **args = with;
	int nr = 6, i;

	snprintf(max_len, sizeof(max_len), "-max_len=%zu", MAX_SIZE);
	for (i = 1; i < argc && nr < (int)ARRAY_SIZE(with) - 1; i++)
		with[nr++] = argv[i];
	return LLVMFuzzerRunDriver(&nr, &args, one);
}

static int fuzz(int argc, char **argv)
{
	pid_t pid;
	int i;

	for (i = 1; i < argc; i++)
		makes_shorter |= !strncmp(argv[i], "-minimize_crash", 15);
	is_planted = getenv(PLANT);
	verdict = share(NULL, sizeof(*verdict));
	server.input = share(NULL, sizeof(*server.input));
	if (verdict == MAP_FAILED || server.input == MAP_FAILED ||
	    share(features, sizeof(features)) == MAP_FAILED || *dm_ops_begin() ||
	    pipe(server.go) || pipe(server.ended)) {
		fprintf(stderr, "spaces: no memory, or no pipe\n");
		return 2;
	}
	pid = fork();
	if (!pid)
		serve();
	close(server.go[0]);
	close(server.ended[1]);
	if (pid < 0) {
		perror("fork");
		return 2;
	}
	fuzzer = getpid();
	atexit(sum_up);
	return drive(argc, argv);
}

/* This program with these options: its exit code. */
static int run(const char *options, bool quiet)
{
	char command[512];
	int status;

	fflush(stdout);
	snprintf(command, sizeof(command), "exec /proc/%d/exe %s %s", getpid(), options,
		 quiet ? ">" SAID " 2>&1" : "2>&1");
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static off_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -1 : st.st_size;
}

/* They are in memory. */
static void forget(void)
{
	unlink(FOUND);
	unlink(SHORTEST);
	unlink(SAID);
}

static bool make_shorter(void)
{
	char options[256];

	snprintf(options, sizeof(options), "-minimize_crash=1 -runs=%d %s " FOUND, TRIES,
		 "-exact_artifact_path=" SHORTEST);
	run(options, true);
	return size_of(SHORTEST) > 0;
}

static const char *look(const char *runs)
{
	char options[256];
	unsigned int seed;

	/* The short form is to be the same each time, the long one is to find more. */
	seed = dm_long_form() ? dm_ns() / 1000 % INT32_MAX : 1;
	ksft_print_msg("%s address spaces, seed %u\n", runs, seed);
	snprintf(options, sizeof(options), "-runs=%s -seed=%u %s", runs, seed,
		 "-print_final_stats=1 -exact_artifact_path=" FOUND);
	if (!run(options, false))
		return "";
	if (size_of(FOUND) > 0 && make_shorter()) {
		ksft_print_msg("shorter:\n");
		run(SHORTEST, false);
	}
	return "an address space is wrong, or the search could not run: see above";
}

/* Would it find what is wrong, and what it takes? */
static const char *look_for_a_plant(void)
{
	const off_t least = sizeof(struct aim) + 2 * sizeof(struct dm_op);
	static char said[16384];

	/* Each operation that is too many takes another search. */
	if (!run("-seed=4 -runs=100000 -max_len=323 -exact_artifact_path=" FOUND, true))
		return "it is not found";
	if (!make_shorter())
		return "it is not made shorter";
	ksft_print_msg("%ld bytes, then %ld\n", (long)size_of(FOUND), (long)size_of(SHORTEST));
	if (size_of(SHORTEST) > least + (off_t)sizeof(struct dm_op))
		return "two operations are enough for it, or three";
	if (!run(SHORTEST, true))
		return "it is right when it is tried again";
	dm_read_path(SAID, said, sizeof(said));
	if (!strstr(said, "wrong: planted") || !strstr(said, "MADV_DONTFORK"))
		return "what is printed does not say it";
	return "";
}

int main(int argc, char **argv)
{
	static struct dm_cgroup cgroup;
	static struct dm_alloc alloc;
	struct dm_counters before;
	const char *runs = getenv(NR), *why;
	struct dm_saved saved;
	unsigned long taint;
	bool tries_plant;

	/* "-r NAME" is for programs of the harness. */
	if (argc > 1 && strcmp(argv[1], "-r"))
		return fuzz(argc, argv);
	dm_skip_unless_available();
	ksft_print_header();
	dm_skip_unless_countable(&cgroup);
	why = dm_alloc_begin(&alloc, "");
	if (why) {
		dm_alloc_end(&alloc);
		dm_cgroup_leave(&cgroup);
		ksft_exit_skip("%s\n", why);
	}
	dm_save(&saved);
	dm_kinds_begin(1);
	if (!runs)
		runs = dm_is_um() ? (dm_long_form() ? MANY_UM : FEW_UM) :
				    (dm_long_form() ? MANY : FEW);
	/* Before a long search: would it find anything? */
	tries_plant = atoi(runs) >= LONG;
	ksft_set_plan(2 + tries_plant);
	/* What this process needs for it, it keeps. */
	run("-runs=1", true);
	forget();
	dm_get_counters(&before);
	taint = dm_taint();
	if (tries_plant) {
		setenv(PLANT, "1", 1);
		why = look_for_a_plant();
		unsetenv(PLANT);
		if (!*why && run(SHORTEST, true))
			why = "it is wrong without the plant, too";
		if (*why)
			ksft_print_msg("%s\n", why);
		ksft_test_result(!*why,
				 "one that is wrong is found, made shorter, and tried again\n");
		forget();
	}
	why = look(runs);
	if (*why)
		ksft_print_msg("%s\n", why);
	else
		forget();
	ksft_test_result(!*why, "random address spaces\n");
	why = dm_check_counters(&before, DM_PATIENT);
	if (!*why)
		why = dm_check_taint(taint);
	if (*why)
		ksft_print_msg("%s\n", why);
	ksft_test_result(!*why, "nothing is lost, and no complaint\n");
	dm_kinds_end();
	dm_restore(&saved);
	dm_alloc_end(&alloc);
	dm_cgroup_leave(&cgroup);
	ksft_finished();
}
