// SPDX-License-Identifier: GPL-2.0
/* What each part says of itself, and how it writes to a file of the module. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "storm.h"

struct storm *storm;
int nr_parts, me;

unsigned long epoch(void)
{
	return __atomic_load_n(&storm->epoch, __ATOMIC_SEQ_CST);
}

bool is_still(unsigned long since)
{
	return epoch() == since;
}

bool is_there(unsigned long since)
{
	return since % 2 && is_still(since);
}

bool stopped(void)
{
	return __atomic_load_n(&storm->stop, __ATOMIC_SEQ_CST);
}

void count(int what)
{
	storm->part[me].count[what]++;
}

void doing(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(storm->watched[me].doing, sizeof(storm->watched[me].doing), fmt, args);
	va_end(args);
}

void wrong(const char *fmt, ...)
{
	char *text = storm->part[me].wrong;
	va_list args;

	if (text[0])
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(storm->part[me].wrong), fmt, args);
	va_end(args);
}

void moves(void)
{
	dm_moves(&storm->watched[me]);
}

void did(unsigned long since)
{
	if (is_still(since))
		__atomic_store_n(&storm->part[me].with, since, __ATOMIC_SEQ_CST);
	moves();
}

int random_below(int n)
{
	static unsigned int seed;

	if (!seed)
		seed = me + 1;
	return rand_r(&seed) % n;
}

bool all_did(unsigned long since)
{
	const struct part *p;

	for (p = storm->part; p < storm->part + nr_parts; p++) {
		if (!(since % 2 ? p->kind->there : p->kind->gone) ||
		    __atomic_load_n(&p->with, __ATOMIC_SEQ_CST) == since)
			continue;
		doing("waits for %s to do something %s the module",
		      storm->watched[p - storm->part].name, since % 2 ? "with" : "without");
		return false;
	}
	return true;
}

bool is_away(int ret)
{
	return ret == -ENOENT || ret == -ENXIO || ret == -ENODEV || ret == -EIO;
}

bool is_short(int ret)
{
	return ret == -ENOMEM;
}

void put(const char *name, const char *value, int want)
{
	unsigned long since = epoch();
	int ret = dm_write(name, value);

	if (ret == want)
		count(want ? REFUSED : TAKEN);
	else if (is_away(ret) && !is_there(since))
		count(AWAY);
	else if (is_short(ret))
		count(SHORT);
	else
		wrong("writing %s to %s: %d", value, name, ret);
	did(since);
	/* The others have better use for the CPU. */
	if (is_away(ret))
		usleep(1000);
}
