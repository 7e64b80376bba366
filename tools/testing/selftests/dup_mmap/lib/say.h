/* SPDX-License-Identifier: GPL-2.0 */
/* The sentence of a check that finds something wrong; in the library only. */
#ifndef DM_SAY_H
#define DM_SAY_H

#include "kselftest.h"

/* In a static buffer, which the next call overwrites. */
__printf(1, 2)
const char *say(const char *fmt, ...);

#endif /* DM_SAY_H */
