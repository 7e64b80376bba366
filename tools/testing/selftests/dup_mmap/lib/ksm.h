/* SPDX-License-Identifier: GPL-2.0 */
/* Pages of the same content, merged by KSM into one. */
#ifndef DM_KSM_H
#define DM_KSM_H

#include <stddef.h>

#define DM_KSM			"/sys/kernel/mm/ksm/"

/*
 * Fills these pages and has them merged: "" or why not. No other page of this process
 * may have been merged before. What is merged KSM then leaves alone.
 */
const char *dm_merge(void *p, size_t nr, char content);
/* All of this process, which has used none of its pages then: "" or why not. */
const char *dm_forget_use(void);
/* Of all processes, each of which is locked for that. */
const char *dm_unmerge(void);

#endif /* DM_KSM_H */
