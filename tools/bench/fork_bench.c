// SPDX-License-Identifier: GPL-2.0
/*
 * fork_bench [OPTION...]: what fork() and a fork that fails cost, as one JSON
 * object a line. scripts/bench says what to measure, and makes tables of it.
 *
 * Under QEMU's -icount a nanosecond is an instruction, and nothing else counts:
 * then all that is left to do is to keep away what does not belong to the fork.
 * This is a real-time task, so a child runs only while its parent waits. It sleeps
 * before each fork, so the kernel's own threads have done what they had to do (an
 * idle machine's time costs nothing there). It begins so long after a tick of the
 * clock that the next one comes when the part that is measured is over, if that
 * part is short enough.
 */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

const char * const state_names[] = {
	[OFF]		= "off",	/* a kernel without the option */
	[NONE]		= "none",	/* no module */
	[LOADED]	= "loaded",	/* nothing armed */
	[ARMED]		= "armed",	/* for another task */
	[RUST]		= "rust",	/* this task's forks fail */
	[UPSTREAM]	= "upstream",
};

struct options opt = {
	.vmas = 40,
	.pages = 1,
	.kind = "anon",
	.rounds = 3,
	.reps = 3,
	.fails = 3,
	.pairs = 10,
	.slot_ms = 300,
};

static void say(const char *what)
{
	printf("> %s, %ld VMAs of %ld pages: %s\n", opt.kind, opt.vmas, opt.pages, what);
}

static void text_field(const char *name, const char *value)
{
	printf("\"%s\": \"%s\", ", name, value);
}

static void number_field(const char *name, long value)
{
	printf("\"%s\": %ld, ", name, value);
}

void sample(const char *measure, const char *variant, uint64_t value)
{
	printf("{");
	text_field("measure", measure);
	text_field("variant", variant);
	text_field("kind", opt.kind);
	number_field("vmas", opt.vmas);
	number_field("pages", opt.pages);
	printf("\"value\": %llu}\n", (unsigned long long)value);
}

/* Forks that fill the caches, and do not count. The first ones of a process most of all. */
static int warm_up(bool first)
{
	if (opt.vmas < 10000)
		return first ? 20 : 2;
	return first ? 2 : 1;
}

/* What a probe takes itself, of the time that it measures. */
static uint64_t overhead;

static void measure_probe(void)
{
	uint64_t times[NR_PROBES];
	int i;

	for (i = 0; i < 3; i++) {
		settle(0, 0);
		syscall(SYS_getppid);
		ask_helper(times);
	}
	overhead = times[NOTHING];
	if (!overhead)
		errx(1, "the probes do not work");
}

/*
 * A fork that works, under each of the states in turn, each time another first:
 * dup_mmap() of the parent, and exit_mmap() of the child.
 */
static void measure_forks(void)
{
	uint64_t times[NR_PROBES] = { 0 };
	long round, rep, pid;
	int i, skip;

	for (round = 0; round < opt.rounds; round++) {
		for (i = 0; i < opt.nr_states; i++) {
			enum state state = opt.states[(opt.seed + round + i) % opt.nr_states];
			const char *name = state_names[state];

			skip = warm_up(!round && !i);
			if (state == LOADED && !loaded())
				sample("load", "", load());
			enter(state);
			if (!round)
				say(name);
			restart_helper(10 * opt.seed + round);
			for (rep = 0; rep < skip + opt.reps; rep++) {
				settle(0, times[DUP_MMAP]);
				pid = raw_fork();
				if (pid < 0)
					errx(1, "a fork has failed that should work");
				settle(0, times[EXIT_MMAP]);
				reap(pid);
				ask_helper(times);
				if (times[DUP_MMAP] <= overhead || times[EXIT_MMAP] <= overhead)
					errx(1, "the probes have seen no fork");
				if (rep < skip)
					continue;
				sample("dup_mmap", name, times[DUP_MMAP] - overhead);
				sample("exit_mmap", name, times[EXIT_MMAP] - overhead);
			}
		}
	}
}

/* The record of the fork that has just failed. */
static const char *check_record(enum state state, const char *where)
{
	uint64_t copied = opt.vmas * strtoul(where, NULL, 10) / 100;
	const char *record = last_record();

	if (number_in(record, "pid") != (uint64_t)getpid() ||
	    !word_in(record, "recovery", state_names[state]))
		errx(1, "the record is of another fork:\n%s", record);
	if (strcmp(where, "all") && number_in(record, "vmas-torn-down") != copied)
		errx(1, "the fork has failed elsewhere:\n%s", record);
	return record;
}

static void failure_sample(const char *measure, const char *where, enum state state, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%s %s", measure, where);
	sample(text, state_names[state], value);
}

/* Both recoveries in turn. */
static void measure_recovery(const char *where)
{
	static const enum state who[] = { UPSTREAM, RUST };
	uint64_t times[NR_PROBES], time, before[2] = { 0 }, ns[2] = { 0 };
	int i, skip = warm_up(false);
	const char *record;
	long rep;

	say(where);
	restart_helper(10 * opt.seed);
	put("/proc/self/make-it-fail", "1");
	for (rep = 0; rep < skip + opt.fails; rep++) {
		for (i = 0; i < 2; i++) {
			enter(who[i]);
			aim(where);
			ask_helper(times);
			settle(before[i], ns[i]);
			time = now(CLOCK_MONOTONIC);
			if (raw_fork() != -ENOMEM)
				errx(1, "a fork has not failed");
			time = now(CLOCK_MONOTONIC) - time;
			record = check_record(who[i], where);
			ns[i] = number_in(record, "ns");
			before[i] = time - ns[i];
			if (rep < skip)
				continue;
			failure_sample("recovery", where, who[i], ns[i]);
			/* Not so in the first version of the module. */
			if (has_field(record, "parent-lock-ns"))
				failure_sample("parent lock", where, who[i],
					       number_in(record, "parent-lock-ns"));
		}
	}
	put("/proc/self/make-it-fail", "0");
	enter(LOADED);
}

/*
 * Forks for which there is no memory behind the last of the VMAs, with the module and
 * without it: all of dup_mmap(), whoever recovers.
 */
static void measure_natural(void)
{
	uint64_t times[NR_PROBES] = { 0 };
	long rep;
	int i;

	if (!opt.nr_natural)
		return;
	fail_naturally(true);
	for (i = 0; i < opt.nr_natural; i++) {
		enum state state = opt.natural[i];
		const char *name = state_names[state];
		bool module = state == RUST || state == UPSTREAM;

		say("without memory");
		enter(module ? LOADED : state);
		if (module)
			recover_with(state);
		restart_helper(10 * opt.seed);
		for (rep = 0; rep < warm_up(false) + opt.fails; rep++) {
			aim_naturally();
			settle(0, times[DUP_MMAP]);
			if (raw_fork() != -ENOMEM)
				errx(1, "a fork has not failed");
			ask_helper(times);
			if (module)
				check_record(state, "100");
			if (rep >= warm_up(false))
				sample("natural failure", name, times[DUP_MMAP] - overhead);
		}
	}
	fail_naturally(false);
}

/* Options */

static int words(char *text, const char **word, int max)
{
	char *save, *w;
	int nr = 0;

	for (w = strtok_r(text, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		if (nr == max)
			errx(2, "%s: no more than %d of them", text, max);
		word[nr++] = w;
	}
	return nr;
}

static int states(char *text, enum state *state)
{
	const char *word[NR_STATES];
	int nr = words(text, word, NR_STATES), i, s;

	for (i = 0; i < nr; i++) {
		for (s = 0; s < NR_STATES && strcmp(word[i], state_names[s]); s++)
			;
		if (s == NR_STATES)
			errx(2, "there is no state %s", word[i]);
		state[i] = s;
	}
	return nr;
}

static void parse(int argc, char **argv)
{
	enum { KIND = 100, STATES, NATURAL, FAIL, TIME };
	static const struct option options[] = {
		{ "vmas", required_argument, NULL, 0 },
		{ "pages", required_argument, NULL, 1 },
		{ "rounds", required_argument, NULL, 2 },
		{ "reps", required_argument, NULL, 3 },
		{ "fails", required_argument, NULL, 4 },
		{ "tasks", required_argument, NULL, 5 },
		{ "pairs", required_argument, NULL, 6 },
		{ "slot-ms", required_argument, NULL, 7 },
		{ "seed", required_argument, NULL, 8 },
		{ "kind", required_argument, NULL, KIND },
		{ "states", required_argument, NULL, STATES },
		{ "natural", required_argument, NULL, NATURAL },
		{ "fail", required_argument, NULL, FAIL },
		{ "time", no_argument, NULL, TIME },
		{ }
	};
	long * const numbers[] = {
		&opt.vmas, &opt.pages, &opt.rounds, &opt.reps, &opt.fails, &opt.tasks, &opt.pairs,
		&opt.slot_ms, &opt.seed,
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case KIND:
			opt.kind = optarg;
			break;
		case STATES:
			opt.nr_states = states(optarg, opt.states);
			break;
		case NATURAL:
			opt.nr_natural = states(optarg, opt.natural);
			break;
		case FAIL:
			opt.nr_fail = words(optarg, opt.fail, MAX_FAIL);
			break;
		case TIME:
			opt.time = true;
			break;
		case '?':
			exit(2);
		default:
			*numbers[c] = strtol(optarg, NULL, 10);
		}
	}
	if (optind < argc)
		errx(2, "what is %s", argv[optind]);
}

int main(int argc, char **argv)
{
	struct sched_param fifo = { .sched_priority = 1 };
	int i;

	/* The kernel writes to the area of restartable sequences of each new task. */
	if (!getenv("GLIBC_TUNABLES") && !setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1))
		execv("/proc/self/exe", argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(argc, argv);
	say("its VMAs");
	if (opt.tasks) {
		build_space();
		measure_tasks();
		return 0;
	}
	start_helper();
	build_space();
	find_tick();
	if (!put("/proc/sys/kernel/sched_rt_runtime_us", "-1") ||
	    sched_setscheduler(0, SCHED_FIFO, &fifo))
		err(1, "cannot become a real-time task");
	sample("own VMAs", "", nr_own_vmas());
	measure_probe();
	measure_forks();
	for (i = 0; i < opt.nr_fail; i++)
		measure_recovery(opt.fail[i]);
	measure_natural();
	return 0;
}
