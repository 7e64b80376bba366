/* SPDX-License-Identifier: GPL-2.0 */
/* What a task of another process is doing. */
#ifndef DM_TASKS_H
#define DM_TASKS_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * A field of /proc/TID/status, such as "PPid": the text of the rest of the file behind it, in
 * a static buffer; NULL if there is no such task.
 */
const char *dm_status_of(pid_t tid, const char *field);
/* Of a process or a thread: R, S, D, Z, ...; '?' if there is none. */
char dm_state_of(pid_t tid);
/*
 * Whether it sleeps, inside of that function of the kernel. To name functions of the
 * scheduler or of locks is no use: they are left out of a task's stack. Waits while
 * the task executes another program.
 */
bool dm_sleeps_in(pid_t tid, const char *function);

/* For dm_wait_until(): the child *pid has ended, and is there to be waited for. */
bool dm_has_ended(void *pid);

/* Waits until it is so. False: it took too long. Nothing but a mistake takes as long. */
#define DM_LIMIT	60	/* seconds */
bool dm_wait_until(bool (*is_so)(void *arg), void *arg);

#endif /* DM_TASKS_H */
