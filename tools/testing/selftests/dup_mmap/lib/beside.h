/* SPDX-License-Identifier: GPL-2.0 */
/* Children that run beside a process, until it ends them or has ended. */
#ifndef DM_BESIDE_H
#define DM_BESIDE_H

#include <stdbool.h>

#define DM_MAX_BESIDE	4

/* One that does this again and again. False: there are enough of them, or the fork fails. */
bool dm_fork_beside(void (*what)(int arg), int arg);
/* Ends them, and waits for them. */
void dm_end_beside(void);
/* In a child: they are not its own. */
void dm_forget_beside(void);

#endif /* DM_BESIDE_H */
