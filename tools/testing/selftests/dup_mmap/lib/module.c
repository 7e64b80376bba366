// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io.h"
#include "module.h"
#include "tasks.h"

bool dm_loaded(void)
{
	return !access(DM_DIR, F_OK);
}

bool dm_load(void)
{
	/* modprobe where it knows the module, else the file itself. */
	static const char found[] =
		"insmod \"$(find /lib/modules -name '" DM_MODULE ".ko*' | head -n 1)\"";
	int ret = system("modprobe " DM_MODULE " 2>/dev/null");

	if (ret)
		ret = system(found);

	return !ret && dm_loaded();
}

int dm_unload(void)
{
	return syscall(SYS_delete_module, DM_MODULE, 0) ? errno : 0;
}

pid_t dm_begin_unload(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(dm_unload());
	return pid;
}

bool dm_unload_waits(void *pid)
{
	return dm_sleeps_in(*(pid_t *)pid, "synchronize_srcu") || dm_has_ended(pid);
}
