// SPDX-License-Identifier: GPL-2.0
/*
 * The helper has probes where functions of the kernel begin and end, and says how
 * long these took the last time.
 *
 * And it holds memory, now more, now less. What a fork allocates comes from caches,
 * which are filled and emptied many objects at a time. A process that forks and does
 * nothing else finds them each time as it did before, and may go on being lucky, or
 * not. Like this the mean of many forks has all of it.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

#if defined(__x86_64__)
#define SYSCALL_PREFIX	"__x64_sys_"
#elif defined(__aarch64__)
#define SYSCALL_PREFIX	"__arm64_sys_"
#endif

static const char * const probed[] = {
	[DUP_MMAP]	= "dup_mmap",
	[EXIT_MMAP]	= "exit_mmap",
	[NOTHING]	= SYSCALL_PREFIX "getppid",
};

#define MAX_HELD	128

static struct perf_event_mmap_page *rings[NR_PROBES][2];
static int to_helper[2], from_helper[2];

static void open_probe(int probe)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = strtoul(get("/sys/bus/event_source/devices/kprobe/type"), NULL, 10),
		.sample_period = 1,
		.sample_type = PERF_SAMPLE_TIME,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
		.kprobe_func = (uintptr_t)probed[probe],
	};
	int i, fd;

	for (i = 0; i < 2; i++) {
		attr.config = i;	/* of the return */
		fd = syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
		if (fd < 0)
			err(1, "cannot probe %s", probed[probe]);
		rings[probe][i] = mmap(NULL, 2 * sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
				       MAP_SHARED, fd, 0);
		if (rings[probe][i] == MAP_FAILED)
			err(1, "cannot map the events of %s", probed[probe]);
	}
}

/* The time of the last event, 0 if there was none. */
static uint64_t last_event(struct perf_event_mmap_page *ring)
{
	const char *data = (const char *)ring + ring->data_offset;
	uint64_t head = __atomic_load_n(&ring->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = ring->data_tail, time = 0;

	while (tail < head) {
		const struct perf_event_header *h = (const void *)(data + tail % ring->data_size);

		if (h->type == PERF_RECORD_SAMPLE)
			time = *(const uint64_t *)(h + 1);
		tail += h->size;
	}
	__atomic_store_n(&ring->data_tail, tail, __ATOMIC_RELEASE);
	return time;
}

static void hold(int nr)
{
	size_t page = sysconf(_SC_PAGESIZE);
	char *p = BASE;
	int i;

	munmap(p, MAX_HELD * page);
	for (i = 0; i < nr; i++, p += page) {
		if (mmap(p, page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != p)
			err(1, "the helper cannot map a page");
		*p = 1;
		mprotect(p, page, i % 2 ? PROT_READ : PROT_NONE);
	}
}

static void help(void)
{
	uint64_t times[NR_PROBES];
	unsigned char nr;
	int i;

	for (i = 0; i < NR_PROBES; i++)
		open_probe(i);
	while (read(to_helper[0], &nr, 1) == 1) {
		for (i = 0; i < NR_PROBES; i++) {
			uint64_t from = last_event(rings[i][0]), to = last_event(rings[i][1]);

			times[i] = to > from && from ? to - from : 0;
		}
		hold(nr);
		if (write(from_helper[1], times, sizeof(times)) != sizeof(times))
			break;
	}
	_exit(0);
}

void start_helper(void)
{
	pid_t pid;

	if (pipe2(to_helper, O_CLOEXEC) || pipe2(from_helper, O_CLOEXEC))
		err(1, "cannot make a pipe");
	pid = fork();
	if (pid < 0)
		err(1, "cannot fork");
	if (!pid) {
		close(to_helper[1]);
		help();
	}
	close(to_helper[0]);
	close(from_helper[1]);
}

/* Of the numbers of pages that it holds. */
static uint32_t seed;

void ask_helper(uint64_t *times)
{
	unsigned char nr;

	seed = seed * 1664525 + 1013904223;
	nr = (seed >> 24) % MAX_HELD;
	if (write(to_helper[1], &nr, 1) != 1 ||
	    read(from_helper[0], times, NR_PROBES * sizeof(*times)) != NR_PROBES * sizeof(*times))
		errx(1, "the helper is gone");
}

void restart_helper(uint32_t number)
{
	uint64_t times[NR_PROBES];

	seed = 2 * number + 1;
	ask_helper(times);
}
