// SPDX-License-Identifier: GPL-2.0
/* Changes the recovery. */
#include <sched.h>

#include "storm.h"

static void be_switcher(int nr)
{
	unsigned int i;

	doing("changes the recovery");
	for (i = 0; !stopped(); i++) {
		put("recovery", dm_recoveries[i % DM_XA_ZERO_BARE], 0);
		sched_yield();
	}
}

const struct kind switcher = {
	"switcher", 1, be_switcher, true, false,
	{ "taken", "(refused)", "away", "(short of memory)" },
};
