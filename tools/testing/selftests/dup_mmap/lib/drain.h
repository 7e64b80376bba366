/* SPDX-License-Identifier: GPL-2.0 */
/* What has been freed is really free. */
#ifndef DM_DRAIN_H
#define DM_DRAIN_H

/* Why dm_drain() can't do that here, or NULL. */
const char *dm_undrainable(void);

/*
 * A freed object comes back late: after a grace period, from a list that
 * kfree_rcu() keeps for up to five seconds, by a worker of the kernel, or when an
 * idle CPU gets another mm. When this returns, none of what was freed before is
 * still on its way. Slabs keep freed objects of their own; writing to their
 * "shrink" before and after this takes them out.
 */
void dm_drain(void);

/*
 * Half of it, for who looks again where something seems to be on its way. A file that
 * is closed is on its way as well: these are open before and until all is counted.
 */
struct dm_drain {
	int barrier, caches, loadavg;
};

void dm_drain_open(struct dm_drain *drain);
void dm_drain_once(const struct dm_drain *drain);
void dm_drain_close(struct dm_drain *drain);

/*
 * khugepaged has the mm that it has looked at last, be that at its end, until it looks at
 * the next one: by default ten seconds later. When this returns it has none.
 */
void dm_stop_khugepaged(void);

/* The part of it for which RCU is to wait: page tables, for one. */
void dm_rcu_barrier(void);

/* Nobody else runs: what workers of the kernel and other processes were to do is done. */
void dm_wait_until_idle(void);

#endif /* DM_DRAIN_H */
