/* SPDX-License-Identifier: GPL-2.0 */
/* kselftest's harness, for a machine that is emulated beside others. */
#ifndef DM_HARNESS_H
#define DM_HARNESS_H

#include "kselftest_harness.h"

/* Seconds. A limit is there to end what hangs, not what is slow. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 300

#endif /* DM_HARNESS_H */
