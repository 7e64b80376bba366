// SPDX-License-Identifier: GPL-2.0
#include <err.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

/* After a tick, and before the next: what the tick itself takes. */
#define MARGIN		(MSEC / 5)

/* Then the kernel's threads have done what they had to do. */
#define QUIET		(40 * MSEC)

uint64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * SEC + t.tv_nsec;
}

void sleep_ns(uint64_t ns)
{
	struct timespec t = { ns / SEC, ns % SEC };

	nanosleep(&t, NULL);
}

/* The period of the tick, and when it comes. */
static uint64_t period, tick;

void find_tick(void)
{
	struct timespec res;
	uint64_t last;

	clock_getres(CLOCK_MONOTONIC_COARSE, &res);
	period = res.tv_sec * SEC + res.tv_nsec;
	last = now(CLOCK_MONOTONIC_COARSE);
	while (now(CLOCK_MONOTONIC_COARSE) == last)
		;
	tick = now(CLOCK_MONOTONIC) % period;
}

void settle(uint64_t before, uint64_t len)
{
	uint64_t phase = MARGIN, until;
	struct timespec t;

	if (opt.time) {
		sleep_ns(MSEC);
		return;
	}
	if (before + len > period - 2 * MARGIN && len < period - 2 * MARGIN)
		phase = MARGIN + period - before % period;
	until = now(CLOCK_MONOTONIC) + QUIET;
	until += period - until % period + tick + phase;
	t.tv_sec = until / SEC;
	t.tv_nsec = until % SEC;
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/*
 * Not through the C library: the child must not write to memory, which after a fork
 * is a page fault and a page that its parent has not.
 */
long raw_fork(void)
{
#if defined(__x86_64__)
	register long nr asm("rax") = SYS_clone;
	register long arg1 asm("rdi") = SIGCHLD;
	register long arg2 asm("rsi") = 0;
	register long arg3 asm("rdx") = 0;
	register long arg4 asm("r10") = 0;
	register long arg5 asm("r8") = 0;

	asm volatile("syscall\n\t"
		     "test %%rax, %%rax\n\t"
		     "jnz 1f\n\t"
		     "mov %[exit], %%eax\n\t"
		     "xor %%edi, %%edi\n\t"
		     "syscall\n"
		     "1:"
		     : "+r" (nr), "+r" (arg1)
		     : [exit] "i" (SYS_exit_group), "r" (arg2), "r" (arg3), "r" (arg4), "r" (arg5)
		     : "rcx", "r11", "memory", "cc");
	return nr;
#elif defined(__aarch64__)
	register long nr asm("x8") = SYS_clone;
	register long arg1 asm("x0") = SIGCHLD;
	register long arg2 asm("x1") = 0;
	register long arg3 asm("x2") = 0;
	register long arg4 asm("x3") = 0;
	register long arg5 asm("x4") = 0;

	asm volatile("svc #0\n\t"
		     "cbnz x0, 1f\n\t"
		     "mov x8, %[exit]\n\t"
		     "svc #0\n"
		     "1:"
		     : "+r" (nr), "+r" (arg1)
		     : [exit] "i" (SYS_exit_group), "r" (arg2), "r" (arg3), "r" (arg4), "r" (arg5)
		     : "memory", "cc");
	return arg1;
#else
#error "which architecture?"
#endif
}

void reap(long pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || status)
		errx(1, "a child did not end as it should");
}
