// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"

#include "fuse.h"
#include "say.h"

#define SIZE		(1024ul << 10)	/* of the file */
#define LIMIT		90		/* seconds that a request may wait */
#define MAX_WRITE	(128 << 10)
#define MAX_KEPT	16

struct dm_fuse_shared {
	uint64_t hold;		/* opcodes, a bit each */
	int waiting;
	bool gave_up;
};

/* One request, which its answer needs some of. */
struct request {
	struct fuse_in_header head;
	union {
		struct fuse_read_in read;
		struct fuse_write_in write;
	};
};

static struct {
	int dev;
	struct dm_fuse_shared *shared;
	struct request kept[MAX_KEPT];
	int nr_kept;
} server;

static void reply(uint64_t unique, int error, const void *data, size_t len)
{
	static char buf[sizeof(struct fuse_out_header) + MAX_WRITE];
	struct fuse_out_header *out = (struct fuse_out_header *)buf;

	*out = (struct fuse_out_header){ sizeof(*out) + len, error, unique };
	memcpy(out + 1, data, len);
	/* Who has asked may be gone. */
	if (write(server.dev, buf, out->len) != (ssize_t)out->len && errno != ENOENT)
		_exit(1);
}

static void reply_init(uint64_t unique)
{
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_write = MAX_WRITE,
	};

	reply(unique, 0, &out, sizeof(out));
}

static void reply_attr(uint64_t unique)
{
	struct fuse_attr_out out = {
		.attr_valid = 1 << 20,
		.attr = {
			.ino = FUSE_ROOT_ID,
			.size = SIZE,
			.mode = S_IFREG | 0600,
			.nlink = 1,
		},
	};

	reply(unique, 0, &out, sizeof(out));
}

static void answer(const struct request *r)
{
	static const char zeroes[MAX_WRITE];
	struct fuse_open_out open = { .open_flags = FOPEN_KEEP_CACHE };
	struct fuse_write_out write = { r->write.size };
	size_t len = 0;

	switch (r->head.opcode) {
	case FUSE_INIT:
		reply_init(r->head.unique);
		break;
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		reply_attr(r->head.unique);
		break;
	case FUSE_OPEN:
		reply(r->head.unique, 0, &open, sizeof(open));
		break;
	case FUSE_READ:
		if (r->read.offset < SIZE)
			len = r->read.size < sizeof(zeroes) ? r->read.size : sizeof(zeroes);
		reply(r->head.unique, 0, zeroes, len);
		break;
	case FUSE_WRITE:
		reply(r->head.unique, 0, &write, sizeof(write));
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		reply(r->head.unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		/* These want no answer. */
		break;
	default:
		reply(r->head.unique, -EOPNOTSUPP, NULL, 0);
	}
}

static void answer_all(void)
{
	int i;

	for (i = 0; i < server.nr_kept; i++)
		answer(&server.kept[i]);
	server.nr_kept = 0;
	__atomic_store_n(&server.shared->hold, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&server.shared->waiting, 0, __ATOMIC_SEQ_CST);
}

/* False: there will be no more. */
static bool take_request(void)
{
	static char buf[sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in) +
			MAX_WRITE];
	ssize_t n = read(server.dev, buf, sizeof(buf));
	struct request r = {};

	if (n < 0)
		return errno == EAGAIN || errno == EINTR || errno == ENOENT;
	if (n < (ssize_t)sizeof(r.head))
		return false;
	memcpy(&r, buf, n < (ssize_t)sizeof(r) ? n : (ssize_t)sizeof(r));
	if (r.head.opcode < 64 && server.nr_kept < MAX_KEPT &&
	    __atomic_load_n(&server.shared->hold, __ATOMIC_SEQ_CST) >> r.head.opcode & 1) {
		server.kept[server.nr_kept++] = r;
		__atomic_store_n(&server.shared->waiting, server.nr_kept, __ATOMIC_SEQ_CST);
		return true;
	}
	answer(&r);
	return true;
}

/* The bell rings when there is something to serve, and then to let go. */
static int serve(int bell)
{
	struct pollfd p[] = {
		{ .fd = bell, .events = POLLIN },
		{ .fd = server.dev, .events = POLLIN },
	};
	int since = 0;
	eventfd_t n;

	/* What is not mounted yet looks as if it were no more. */
	if (eventfd_read(bell, &n))
		return 1;
	for (;;) {
		if (poll(p, ARRAY_SIZE(p), 1000) < 0 && errno != EINTR)
			return 1;
		since = server.nr_kept ? since + !(p[0].revents || p[1].revents) : 0;
		if (since == LIMIT) {
			__atomic_store_n(&server.shared->gave_up, true, __ATOMIC_SEQ_CST);
			answer_all();
		}
		if (p[0].revents) {
			if (eventfd_read(bell, &n))
				return 1;
			answer_all();
		}
		if (p[1].revents && ((p[1].revents & POLLERR) || !take_request()))
			return 0;
	}
}

static pid_t start_server(struct dm_fuse *fuse, int dev)
{
	pid_t parent = getpid(), pid;

	fuse->bell = eventfd(0, EFD_CLOEXEC);
	if (fuse->bell < 0)
		return -1;
	pid = fork();
	if (!pid) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
			_exit(1);
		server.dev = dev;
		server.shared = fuse->shared;
		_exit(serve(fuse->bell));
	}
	return pid;
}

/* The file is the root of the file system, so it takes the place of a file. */
static const char *mount_and_open(struct dm_fuse *fuse, int dev)
{
	char path[] = "/tmp/dup_mmap.XXXXXX", options[96];
	const char *why = NULL;
	struct stat st;
	int fd = mkstemp(path);

	if (fd < 0)
		return say("no file in /tmp: %s", strerror(errno));
	close(fd);
	snprintf(options, sizeof(options), "fd=%d,rootmode=%o,user_id=0,group_id=0", dev,
		 S_IFREG);
	if (mount("dup_mmap", path, "fuse", MS_NOSUID | MS_NODEV, options)) {
		why = say("mounting fuse: %s", strerror(errno));
	} else if (eventfd_write(fuse->bell, 1)) {
		why = "the server cannot be told";
	} else {
		fuse->file = open(path, O_RDWR | O_CLOEXEC);
		/* Its size is asked for here. */
		if (fuse->file < 0 || fstat(fuse->file, &st))
			why = say("opening a file of fuse: %s", strerror(errno));
		else if (st.st_size != SIZE)
			why = "the file has another size";
		/* It stays as long as it is open, or mapped. */
		umount2(path, MNT_DETACH);
	}
	unlink(path);
	return why;
}

const char *dm_fuse_begin(struct dm_fuse *fuse)
{
	static char text[256];
	const char *why;
	int dev;

	*fuse = (struct dm_fuse){ .bell = -1, .file = -1 };
	dev = open("/dev/fuse", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (dev < 0)
		return say("/dev/fuse: %s (CONFIG_FUSE_FS)", strerror(errno));
	fuse->shared = mmap(NULL, sizeof(*fuse->shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fuse->shared == MAP_FAILED) {
		fuse->shared = NULL;
		close(dev);
		return "no memory";
	}
	fuse->server = start_server(fuse, dev);
	why = fuse->server < 0 ? "no server" : mount_and_open(fuse, dev);
	/* The server has the only one: when it ends, nobody waits for it. */
	close(dev);
	if (!why)
		return NULL;
	snprintf(text, sizeof(text), "%s", why);
	dm_fuse_end(fuse);
	return text;
}

void dm_fuse_end(struct dm_fuse *fuse)
{
	if (!fuse->shared)
		return;
	dm_fuse_let_go(fuse);
	if (fuse->file >= 0)
		close(fuse->file);
	if (fuse->server > 0) {
		kill(fuse->server, SIGKILL);
		waitpid(fuse->server, NULL, 0);
	}
	if (fuse->bell >= 0)
		close(fuse->bell);
	munmap(fuse->shared, sizeof(*fuse->shared));
	*fuse = (struct dm_fuse){ .bell = -1, .file = -1 };
}

void dm_fuse_hold(struct dm_fuse *fuse, uint32_t opcode)
{
	__atomic_fetch_or(&fuse->shared->hold, 1ull << opcode, __ATOMIC_SEQ_CST);
}

void dm_fuse_let_go(struct dm_fuse *fuse)
{
	__atomic_store_n(&fuse->shared->hold, 0, __ATOMIC_SEQ_CST);
	if (fuse->bell >= 0)
		eventfd_write(fuse->bell, 1);
}

int dm_fuse_waiting(const struct dm_fuse *fuse)
{
	return __atomic_load_n(&fuse->shared->waiting, __ATOMIC_SEQ_CST);
}

bool dm_fuse_gave_up(const struct dm_fuse *fuse)
{
	return __atomic_load_n(&fuse->shared->gave_up, __ATOMIC_SEQ_CST);
}
