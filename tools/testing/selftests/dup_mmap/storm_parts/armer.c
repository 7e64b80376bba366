// SPDX-License-Identifier: GPL-2.0
/* Has forks fail, whatever the writers have left of that. */
#include <sched.h>

#include "storm.h"

static void be_armer(int nr)
{
	/* One in many steps fails: if each did, no fork would come so far as to be held. */
	static const char * const how[][2] = {
		{ "any", "2" }, { "copy-page-range", "100" }, { "vm-area-dup", "20" },
	};
	static const char * const any[][2] = {
		{ DM_FAIL "verbose", "0" }, { DM_FAIL "task-filter", "Y" },
		{ DM_FAIL "vma-index", "-1" }, { DM_FAIL "vma-addr", "0" },
		{ DM_FAIL "times", "-1" },
	};
	unsigned int i, k;

	doing("has forks fail");
	for (i = 0; !stopped(); i++) {
		/* Not more often: it also releases all, and has nobody held. */
		if (i % 16 == 0)
			put("reset", "1", 0);
		for (k = 0; k < ARRAY_SIZE(any); k++)
			put(any[k][0], any[k][1], 0);
		put(DM_FAIL "point", how[i % ARRAY_SIZE(how)][0], 0);
		put(DM_FAIL "probability", how[i % ARRAY_SIZE(how)][1], 0);
		sched_yield();
	}
}

const struct kind armer = {
	"armer", 1, be_armer, true, false,
	{ "taken", "(refused)", "away", "(short of memory)" },
};
