// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kselftest.h"

#include "io.h"
#include "say.h"
#include "trace.h"

#define EVENTS		DM_TRACE "events/" DM_MODULE "/"

/*
 * What is read of trace_pipe is no longer in the buffer. To empty the file trace takes two
 * grace periods, each time.
 */
static int trace_pipe = -1;
static char text[262144];
static size_t len;
static struct dm_event event[1024];
static int nr;

const char *dm_trace_begin(void)
{
	if (access(DM_TRACING "events/" DM_MODULE, F_OK))
		return "no " DM_TRACING "events/" DM_MODULE;
	if (mkdir(DM_TRACE, 0700) && errno != EEXIST)
		return say("%s: %s", DM_TRACE, strerror(errno));
	/* It may be there, of a test that was killed. And several CPUs have one clock. */
	if (dm_write_path(DM_TRACE "events/enable", "0") ||
	    dm_write_path(DM_TRACE "trace_clock", "global"))
		return "the trace buffer cannot be set up";
	trace_pipe = open(DM_TRACE "trace_pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (trace_pipe < 0)
		return say("trace_pipe: %s", strerror(errno));
	dm_trace_clear();
	return "";
}

void dm_trace_end(void)
{
	if (trace_pipe >= 0)
		close(trace_pipe);
	trace_pipe = -1;
	rmdir(DM_TRACE);
}

int dm_trace_event(const char *name, bool on)
{
	char path[128];

	snprintf(path, sizeof(path), EVENTS "%s%senable", name ?: "", name ? "/" : "");
	return dm_write_path(path, on ? "1" : "0");
}

/* Of "comm-pid [cpu] flags seconds: name: what", the comm with all it may have in it. */
static bool parse(char *line, struct dm_event *e)
{
	char *cpu = strstr(line, " [0"), *pid, *what, *when;
	unsigned long s, us;

	if (!cpu)
		return false;
	*cpu = '\0';
	pid = strrchr(line, '-');
	what = strstr(cpu + 1, ": ");
	if (!pid || !what)
		return false;
	*what = '\0';
	when = strrchr(cpu + 1, ' ');
	if (!when || sscanf(when, " %lu.%lu", &s, &us) != 2)
		return false;
	*e = (struct dm_event){ atoi(pid + 1), s * 1000000 + us, what + 2 };
	return true;
}

/* One that another CPU has written may be read too late. */
static void put_in_order(int i)
{
	for (; i && event[i - 1].us > event[i].us; i--) {
		struct dm_event e = event[i];

		event[i] = event[i - 1];
		event[i - 1] = e;
	}
}

static bool read_more(void)
{
	char *p, *end;
	ssize_t n;

	/* It has whole lines, of a few pages at most. */
	while ((n = read(trace_pipe, text + len, sizeof(text) - 1 - len)) > 0) {
		p = text + len;
		len += n;
		text[len] = '\0';
		for (; *p; p = end + 1) {
			end = strchr(p, '\n');
			if (!end || nr == ARRAY_SIZE(event))
				return false;
			*end = '\0';
			if (!parse(p, &event[nr]))
				return false;
			put_in_order(nr++);
		}
	}
	return n < 0 && errno == EAGAIN;
}

void dm_trace_clear(void)
{
	do {
		len = 0;
		nr = 0;
	} while (!read_more() && len);
	len = 0;
	nr = 0;
}

int dm_get_events(const struct dm_event **events)
{
	*events = event;
	return read_more() ? nr : -1;
}
