// SPDX-License-Identifier: GPL-2.0
/*
 * A userfaultfd that is told of forks is told of those that work, after the module has
 * heard of the end.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "dup_mmap.h"
#include "harness.h"

FIXTURE(userfaultfd) {
	struct dm_saved saved;
};

FIXTURE_SETUP(userfaultfd)
{
	dm_save(&self->saved);
}

FIXTURE_TEARDOWN_PARENT(userfaultfd)
{
	/* If a test has left it unloaded. */
	if (!dm_loaded())
		dm_load();
	dm_restore(&self->saved);
}

/* What the process that a userfaultfd watches says about itself. */
struct watched {
	int uffd;
	bool go, forked;
	int err;
};

static char watched_stack[65536];

/* Has the files of the test, which so can see its userfaultfd. */
static int be_watched(void *arg)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_EVENT_FORK,
	};
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	size_t page = sysconf(_SC_PAGESIZE);
	struct watched *w = arg;
	int uffd, err, status;
	pid_t pid;
	void *p;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	reg.range.start = (unsigned long)p;
	reg.range.len = page;
	if (p == MAP_FAILED || uffd < 0 || ioctl(uffd, UFFDIO_API, &api) ||
	    ioctl(uffd, UFFDIO_REGISTER, &reg))
		return 2;
	__atomic_store_n(&w->uffd, uffd, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&w->go, __ATOMIC_SEQ_CST))
		sched_yield();
	pid = dm_fork(&err);
	w->err = err;
	__atomic_store_n(&w->forked, true, __ATOMIC_SEQ_CST);
	return pid > 0 && (waitpid(pid, &status, 0) != pid || status);
}

static bool has_uffd(void *arg)
{
	struct watched *w = arg;

	return __atomic_load_n(&w->uffd, __ATOMIC_SEQ_CST) >= 0;
}

static bool has_forked(void *arg)
{
	struct watched *w = arg;

	return __atomic_load_n(&w->forked, __ATOMIC_SEQ_CST);
}

static struct watched *start_watched(struct __test_metadata *_metadata, pid_t *pid)
{
	struct watched *w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, (void *)w);
	w->uffd = -1;
	*pid = clone(be_watched, watched_stack + sizeof(watched_stack),
		     CLONE_FILES | SIGCHLD, w);
	ASSERT_GT(*pid, 0);
	ASSERT_TRUE(dm_wait_until(has_uffd, w)) TH_LOG("no userfaultfd");
	return w;
}

static bool is_told(void *arg)
{
	struct pollfd event = { .fd = *(int *)arg, .events = POLLIN };

	return poll(&event, 1, 0) == 1 && event.revents == POLLIN;
}

struct counted {
	unsigned long forks;
	struct dm_stats now;
};

static bool is_counted(void *arg)
{
	struct counted *c = arg;

	return !*dm_get_stats(&c->now) && c->now.forks > c->forks;
}

/*
 * A fork that works waits until its event has been read, which may be never. The
 * module has nothing to do with that: by then it has heard of the end.
 */
TEST_F(userfaultfd, over_before_it_is_told)
{
	struct counted counted;
	struct uffd_msg msg;
	struct watched *w;
	pid_t pid, unloader;
	int status;

	ASSERT_STREQ("", dm_arm(DM_VM_AREA_DUP, 100000, 0));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "-1"));
	/* Who is made by a task that asks for it, asks for it. */
	w = start_watched(_metadata, &pid);
	ASSERT_STREQ("", dm_get_stats(&counted.now));
	counted.forks = counted.now.forks;
	__atomic_store_n(&w->go, true, __ATOMIC_SEQ_CST);
	ASSERT_TRUE(dm_wait_until(is_told, &w->uffd)) TH_LOG("there is no event");
	EXPECT_TRUE(dm_wait_until(is_counted, &counted)) TH_LOG("it is not over");
	ASSERT_FALSE(has_forked(w));

	unloader = dm_begin_unload();
	ASSERT_GT(unloader, 0);
	EXPECT_TRUE(dm_wait_until(dm_has_ended, &unloader)) TH_LOG("unloading waits");
	ASSERT_FALSE(has_forked(w));

	ASSERT_EQ((ssize_t)sizeof(msg), read(w->uffd, &msg, sizeof(msg)));
	EXPECT_EQ(UFFD_EVENT_FORK, msg.event);
	close(msg.arg.fork.ufd);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, w->err);
	ASSERT_EQ(unloader, waitpid(unloader, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_FALSE(dm_loaded());
	ASSERT_TRUE(dm_load());
}

/* A fork that fails has no event: there is no child whose userfaultfd it could be. */
TEST_F(userfaultfd, not_told_of_a_failure)
{
	static const char * const recoveries[] = { "rust", "upstream" };
	struct dm_record rec;
	struct uffd_msg msg;
	struct watched *w;
	char path[64];
	int i, status;
	pid_t pid;

	for (i = 0; i < 2; i++) {
		ASSERT_STREQ("", dm_use_recovery(recoveries[i]));
		w = start_watched(_metadata, &pid);
		/* Every VMA will have been copied, and the event be ready. */
		ASSERT_STREQ("", dm_arm(DM_ARCH_DUP_MMAP, -1, 0));
		snprintf(path, sizeof(path), "/proc/%d/make-it-fail", pid);
		ASSERT_EQ(0, dm_write_path(path, "1"));
		__atomic_store_n(&w->go, true, __ATOMIC_SEQ_CST);
		ASSERT_TRUE(dm_wait_until(has_forked, w)) TH_LOG("the fork does not return");
		EXPECT_EQ(ENOMEM, w->err);
		ASSERT_STREQ("", dm_get_record(&rec));
		EXPECT_EQ(pid, rec.pid);
		EXPECT_STREQ(recoveries[i], rec.recovery);
		EXPECT_STREQ("all", rec.class);
		EXPECT_FALSE(is_told(&w->uffd));
		EXPECT_EQ(-1, read(w->uffd, &msg, sizeof(msg)));
		EXPECT_EQ(EAGAIN, errno);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status);
		close(w->uffd);
		dm_disarm();
	}
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
