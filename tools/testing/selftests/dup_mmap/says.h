/* SPDX-License-Identifier: GPL-2.0 */
/* What a control expects of a check. */
#ifndef DM_SAYS_H
#define DM_SAYS_H

#include <string.h>

#include "harness.h"

/* The check has found it, and says so. */
static inline void says(struct __test_metadata *_metadata, const char *words,
			const char *said)
{
	EXPECT_NE(NULL, strstr(said, words))
		TH_LOG("expected '%s', not '%s'", words, said);
}

#endif /* DM_SAYS_H */
