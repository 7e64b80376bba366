// SPDX-License-Identifier: GPL-2.0
/*
 * Loads the module and unloads it, each time when the others have done something with it, or
 * without it.
 */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "storm.h"

unsigned long nr_cycles;

static void await_all(unsigned long since)
{
	while (!all_did(since) && !stopped())
		usleep(1000);
}

static int unload_once(void)
{
	int err;

	pthread_rwlock_wrlock(&storm->opening);
	err = dm_unload();
	pthread_rwlock_unlock(&storm->opening);
	return err;
}

/* "" or why not. */
static const char *unload(void)
{
	int err;

	/* Not while a file is open, and somebody always has one open. */
	while ((err = unload_once()) == EAGAIN || err == EBUSY) {
		count(BUSY);
		/* Whoever has it open is to come by. */
		usleep(1000);
		if (stopped())
			return "it could not be unloaded";
	}
	if (err)
		return strerror(err);
	return dm_loaded() ? "its directory is still there" : "";
}

static void be_loader(int nr)
{
	const char *why = "";
	unsigned long since;
	int err;

	/* The others are many, and this one has to come by. */
	setpriority(PRIO_PROCESS, 0, -10);
	while (storm->part[me].count[CYCLES] < nr_cycles && !*why && !stopped()) {
		doing("loads");
		err = dm_insert();
		if (err) {
			wrong("loading: %s", strerror(err));
			break;
		}
		since = __atomic_add_fetch(&storm->epoch, 1, __ATOMIC_SEQ_CST);
		moves();
		await_all(since);
		since = __atomic_add_fetch(&storm->epoch, 1, __ATOMIC_SEQ_CST);
		moves();
		doing("unloads");
		why = unload();
		if (*why && !stopped())
			wrong("unloading: %s", why);
		moves();
		await_all(since);
		count(CYCLES);
	}
	__atomic_store_n(&storm->stop, true, __ATOMIC_SEQ_CST);
}

const struct kind loader = {
	"loader", 1, be_loader, false, false, { "cycles", "(refused while a file was open)" },
};
