// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io.h"
#include "module.h"
#include "tasks.h"

bool dm_loaded(void)
{
	return !access(DM_DIR, F_OK);
}

const char *dm_module_file(void)
{
	static char path[256];
	FILE *f = popen("find /lib/modules -name '" DM_MODULE ".ko*'", "re");

	if (!f)
		return NULL;
	if (!fgets(path, sizeof(path), f))
		path[0] = '\0';
	pclose(f);
	path[strcspn(path, "\n")] = '\0';
	return path[0] ? path : NULL;
}

int dm_load_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return errno;
	err = syscall(SYS_finit_module, fd, "", 0) ? errno : 0;
	close(fd);
	return err;
}

bool dm_load(void)
{
	/* modprobe where it knows the module, else the file itself. */
	if (system("modprobe " DM_MODULE " 2>/dev/null")) {
		const char *path = dm_module_file();

		if (!path || dm_load_file(path))
			return false;
	}
	return dm_loaded();
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
