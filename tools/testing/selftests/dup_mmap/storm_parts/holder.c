// SPDX-License-Identifier: GPL-2.0
/* Has forks held, looks at them, and releases them. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "storm.h"

enum { BY_RUST, BY_UPSTREAM, BY_XA_ZERO, LOOKS, RELEASES, IN_VAIN };

/* Whether that is right, for somebody who has begun it in this epoch. */
static bool is_fine(int ret, unsigned long since)
{
	return !ret || is_short(ret) || (is_away(ret) && !is_there(since));
}

static struct dm_held_list held;
static struct dm_sights sights;

/* Reads hold/held, or hold/observe. What is wrong for want of memory is right again soon. */
static void look(bool closely, unsigned long since)
{
	const char *why;
	int tries;

	for (tries = 0; tries < 100; tries++) {
		why = closely ? dm_get_sights(&sights) : dm_get_held(&held);
		if (!*why || !is_there(since))
			return;
		usleep(1000);
	}
	wrong("%s", why);
}

static void be_holder(int nr)
{
	unsigned long since;
	char pid[16];
	unsigned int i;
	int k, tries, ret;

	for (i = 0; !stopped(); i++) {
		since = epoch();
		doing("has forks held");
		ret = dm_write(DM_HOLD "timeout-ms", "30");
		if (!ret)
			ret = dm_write(DM_HOLD "at",
				       dm_at_names[DM_AT_BEFORE + i % (DM_NR_AT - 1)]);
		if (!is_fine(ret, since))
			wrong("no fork can be held: %d", ret);
		if (ret) {
			moves();
			continue;
		}
		doing("waits for one that is held");
		held.nr = 0;
		for (tries = 0; tries < 50 && !held.nr && is_still(since); tries++) {
			look(false, since);
			sched_yield();
		}
		doing("looks at those that are held");
		for (k = 0; k < held.nr; k++)
			for (ret = 0; ret <= DM_XA_ZERO; ret++)
				storm->part[me].count[BY_RUST + ret] +=
					!strcmp(held.line[k].recovery, dm_recoveries[ret]);
		look(true, since);
		storm->part[me].count[LOOKS] += sights.nr;
		doing("releases them");
		snprintf(pid, sizeof(pid), "%d", held.nr ? held.line[0].pid : getpid());
		ret = dm_write(DM_HOLD "release", i % 2 ? pid : "all");
		/* It may be held no more. */
		if (!ret)
			count(RELEASES);
		else if (!is_fine(ret, since) && !(i % 2 && ret == -ESRCH))
			wrong("releasing %s: %d", i % 2 ? pid : "all", ret);
		if (held.nr) {
			did(since);
			continue;
		}
		count(IN_VAIN);
		moves();
	}
}

const struct kind holder = {
	"holder", 1, be_holder, true, false,
	{ "by rust", "by upstream", "by xa-zero", "looked at", "released",
	  "(times in vain)" },
};
