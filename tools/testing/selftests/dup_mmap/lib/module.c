// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/module.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
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
	if (system("modprobe " DM_MODULE " 2>/dev/null") && dm_insert())
		return false;
	return dm_loaded();
}

static char module_file[256];

static int is_module(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	static const char name[] = DM_MODULE ".ko";

	if (type != FTW_F || strncmp(path + ftw->base, name, strlen(name)))
		return 0;
	snprintf(module_file, sizeof(module_file), "%s", path);
	return 1;
}

const char *dm_find_module(void)
{
	struct utsname kernel;
	char dir[128];

	if (!module_file[0] && !uname(&kernel)) {
		snprintf(dir, sizeof(dir), "/lib/modules/%s", kernel.release);
		nftw(dir, is_module, 8, FTW_PHYS);
	}
	return module_file;
}

int dm_insert(void)
{
	size_t len = strlen(dm_find_module());
	int fd, err = 0, flags = 0;

	if (len < 3 || strcmp(module_file + len - 3, ".ko"))
		flags = MODULE_INIT_COMPRESSED_FILE;
	fd = open(module_file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (syscall(SYS_finit_module, fd, "", flags))
		err = errno;
	close(fd);
	return err;
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
