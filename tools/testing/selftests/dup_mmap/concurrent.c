// SPDX-License-Identifier: GPL-2.0
/*
 * Files written by several threads at once, and while forks fail: what is read,
 * and what a fork goes by, is always something that somebody has written.
 */
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "dup_mmap.h"
#include "harness.h"
#include "rw_files.h"

FIXTURE(file) {
	struct dm_saved saved;
	struct dm_alloc alloc;
};

FIXTURE_SETUP(file)
{
	dm_save(&self->saved);
}

FIXTURE_TEARDOWN_PARENT(file)
{
	dm_alloc_end(&self->alloc);
	dm_restore(&self->saved);
}

#define NR_WRITERS	4

struct writer {
	pthread_t thread;
	const char *value, *bad;
	int fd, rounds;
	ssize_t wrong;			/* what a write should not have returned */
	int *left;			/* writers that are not done */
	const unsigned int *seen;	/* whose values somebody has read */
};

static bool are_several(const unsigned int *seen)
{
	unsigned int set = __atomic_load_n(seen, __ATOMIC_RELAXED);

	return set & (set - 1);
}

static void *write_value(void *arg)
{
	struct writer *w = arg;
	size_t len = strlen(w->value), bad_len = strlen(w->bad);
	ssize_t n;
	int i;

	/* On one CPU all rounds may be over before the reader has its turn. */
	for (i = 0; (i < w->rounds || !are_several(w->seen)) && !w->wrong; i++) {
		n = put(w->fd, w->value, len);
		if (n != (ssize_t)len)
			w->wrong = n ?: -EIO;
		if (i % 3)
			continue;
		n = put(w->fd, w->bad, bad_len);
		if (n != -EINVAL)
			w->wrong = n ?: -EIO;
	}
	__atomic_sub_fetch(w->left, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* There is never anything to be read that nobody has written. */
TEST_F_TIMEOUT(file, concurrent_writers, dm_long_form() ? 3600 : 600)
{
	static struct writer writer[NR_WRITERS];
	int rounds = dm_long_form() ? 6000 : 300;
	char bad[NR_WRITERS][80], buf[128];
	unsigned int seen = 0;
	long reads = 0;
	size_t i, k;
	int fd, left;

	ASSERT_EQ(0, dm_write(DM_FAIL "task-filter", "Y"));
	for (i = 0; i < NR_RW; i++) {
		const struct rw_file *f = &rw_files[i];

		fd = open_file(_metadata, f->name, O_RDWR);
		ASSERT_EQ((ssize_t)strlen(f->value[0]), put_text(fd, f->value[0]));
		left = NR_WRITERS;
		for (k = 0; k < NR_WRITERS; k++) {
			/* A value of another's, but not all of it. */
			snprintf(bad[k], sizeof(bad[k]), "%s !",
				 f->value[(k + 1) % NR_WRITERS]);
			writer[k] = (struct writer){
				.value = f->value[k],
				.bad = bad[k],
				/* Two each share an open file. */
				.fd = k % 2 ? writer[k - 1].fd :
					open_file(_metadata, f->name, O_WRONLY),
				.rounds = rounds,
				.left = &left,
				.seen = &seen,
			};
			ASSERT_EQ(0, pthread_create(&writer[k].thread, NULL,
						    write_value, &writer[k]));
		}
		do {
			ASSERT_GT(get(fd, buf, sizeof(buf), 0), 0);
			for (k = 0; k < NR_WRITERS; k++)
				if (!strcmp(buf, f->reads[k]))
					break;
			ASSERT_LT(k, NR_WRITERS) TH_LOG("'%s' in %s", buf, f->name);
			__atomic_or_fetch(&seen, 1u << k, __ATOMIC_RELAXED);
			reads++;
		} while (__atomic_load_n(&left, __ATOMIC_SEQ_CST));
		for (k = 0; k < NR_WRITERS; k++) {
			ASSERT_EQ(0, pthread_join(writer[k].thread, NULL));
			ASSERT_EQ(0, writer[k].wrong)
				TH_LOG("writing '%s' or '%s' to %s",
				       writer[k].value, writer[k].bad, f->name);
			if (k % 2)
				close(writer[k].fd);
		}
		close(fd);
	}
	TH_LOG("%ld reads", reads);
	/* One alone would be what was there before. Until there are more, writers go on. */
	EXPECT_TRUE(are_several(&seen));
}

/* Two values that are written in turns while there are forks. */
struct turns {
	const char *file, *value[2];
	int fd;
	ssize_t wrong;
};

/* Point and VMA are not written by the same thread, nor by the one that resets. */
static struct turns turns[2][3] = {
	{
		{ POINT, { "copy-page-range", "vm-area-dup" } },
		{ ERRNO, { "0", "-4" } },
		{ "recovery", { "rust", "upstream" } },
	}, {
		{ VMA_INDEX },		/* said later */
		{ ALLOC_NTH, { "0", "1" } },
		{ RECOVERY_NTH, { "0", "1000000" } },
	},
};

static pthread_barrier_t barrier;
static int stop;			/* all of these threads */
static sem_t reset_now;
static unsigned int resets;		/* begun and ended: odd in between */

static void *take_turns(void *arg)
{
	struct turns *t = arg;
	const char *value;
	unsigned int i, k;
	ssize_t n;

	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	for (i = 0; !__atomic_load_n(&stop, __ATOMIC_SEQ_CST); i++) {
		for (k = 0; k < 3; k++) {
			/* In the end, each with each. */
			value = t[k].value[i >> k & 1];
			n = put_text(t[k].fd, value);
			if (n != (ssize_t)strlen(value) && !t[k].wrong)
				t[k].wrong = n ?: -EIO;
		}
		/* Leave some of the CPUs to the forks. */
		sched_yield();
	}
	return NULL;
}

static struct arming {
	const char *file, *text;
	int fd;
} arming[] = {
	{ "reset", "1" },
	{ DM_FAIL "task-filter", "Y" },
	{ DM_FAIL "verbose", "0" },
	{ DM_FAIL "times", "-1" },
	{ POINT, "copy-page-range" },
	{ VMA_INDEX, NULL },		/* said later */
	{ DM_FAIL "probability", "100" },
};

static void *reset_and_arm(void *arg)
{
	ssize_t *wrong = arg, n;
	size_t i;

	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	for (;;) {
		while (sem_wait(&reset_now))
			;
		if (__atomic_load_n(&stop, __ATOMIC_SEQ_CST))
			return NULL;
		__atomic_add_fetch(&resets, 1, __ATOMIC_SEQ_CST);
		for (i = 0; i < ARRAY_SIZE(arming); i++) {
			n = put_text(arming[i].fd, arming[i].text);
			if (n != (ssize_t)strlen(arming[i].text) && !*wrong)
				*wrong = n ?: -EIO;
		}
		__atomic_add_fetch(&resets, 1, __ATOMIC_SEQ_CST);
	}
}

/*
 * A record has to make sense by itself, whatever the settings were: an error
 * from errno never goes with an allocation that failed, and so on.
 */
static const char *judge(const struct dm_maps *maps, const struct dm_record *rec)
{
	enum dm_point point = dm_point_of(rec->point);
	struct dm_expect want;

	if (point == DM_NR_POINTS)
		return "no such point";
	if (rec->pid != getpid())
		return "not of this process";
	if (rec->injected != 'y')
		return "not injected";
	if (rec->alloc_nth > 1 || rec->recovery_alloc_nth % 1000000 ||
	    rec->recovery_alloc_failed != 'n')
		return "an alloc-nth that nobody has set";
	dm_model(maps, point, rec->index,
		 rec->err == -EINTR && !rec->alloc_nth ? -EINTR : 0, &want);
	if (!want.fails)
		return "that point is not reached there";
	return dm_compare(maps, &want, point,
			  strcmp(rec->recovery, "upstream") ? "rust" : "upstream", rec);
}

/*
 * A fork goes by the settings as they were when it began, all of them. Those
 * that have no reset in them can only fail in so many ways.
 */
TEST_F_TIMEOUT(file, writes_during_armed_forks, dm_long_form() ? 3600 : 600)
{
	static struct dm_maps maps, after;
	/* Both of each: points, VMAs, allocations, recoveries; an errno. */
	const unsigned int all = 0x1ff;
	int need = dm_long_form() ? 4000 : 80, most = 50 * need;
	int i, nr, v[2], err, failed = 0, mixed = 0, status;
	enum dm_point point;
	unsigned long taint = dm_taint();
	struct dm_layout l[2];
	struct dm_record rec;
	unsigned int seen = 0, before;
	pthread_t thread[2], resetter;
	char index[2][16];
	ssize_t wrong = 0;
	const char *why;
	pid_t pid;
	size_t k;

	why = dm_alloc_begin(&self->alloc, "");
	if (why)
		SKIP(return, "%s", why);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(NULL, dm_build(&l[i], DM_ANON, DM_MIDDLE));
	for (k = 0; k < ARRAY_SIZE(arming); k++)
		arming[k].fd = open_file(_metadata, arming[k].file, O_WRONLY);
	ASSERT_EQ(0, sem_init(&reset_now, 0, 0));
	ASSERT_EQ(0, pthread_barrier_init(&barrier, NULL, 4));
	for (i = 0; i < 2; i++) {
		for (k = 0; k < 3; k++)
			turns[i][k].fd = open_file(_metadata, turns[i][k].file,
						   O_WRONLY);
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, take_turns, turns[i]));
	}
	ASSERT_EQ(0, pthread_create(&resetter, NULL, reset_and_arm, &wrong));
	/* Now that all stacks are mapped: which VMAs, and go. */
	pthread_barrier_wait(&barrier);
	ASSERT_STREQ("", dm_get_maps_and_flags(&maps));
	for (i = 0; i < 2; i++) {
		v[i] = dm_index_of(&maps, l[i].addr);
		ASSERT_GE(v[i], 0);
		snprintf(index[i], sizeof(index[i]), "%d", v[i]);
		turns[1][0].value[i] = index[i];
	}
	arming[5].text = index[0];
	ASSERT_STREQ("", dm_arm(DM_COPY_PAGE_RANGE, v[0], 0));
	ASSERT_EQ(0, dm_write(DM_FAIL "times", "-1"));
	pthread_barrier_wait(&barrier);

	for (nr = 0; nr < most && (failed < need || !mixed || seen != all); nr++) {
		before = __atomic_load_n(&resets, __ATOMIC_SEQ_CST);
		/* Begins while this fork is under way, or one soon after. */
		if (nr % 8 == 7)
			ASSERT_EQ(0, sem_post(&reset_now));
		pid = dm_fork(&err);
		if (pid > 0) {
			ASSERT_EQ(pid, waitpid(pid, &status, 0));
			ASSERT_EQ(0, status);
			continue;
		}
		ASSERT_EQ(ENOMEM, err);
		ASSERT_STREQ("", dm_get_record(&rec));
		if (!rec.none)
			ASSERT_STREQ("", judge(&maps, &rec))
				TH_LOG("%s, VMA %d, errno %d, alloc %lu", rec.point,
				       rec.index, rec.err, rec.alloc_nth);
		if (before % 2 || __atomic_load_n(&resets, __ATOMIC_SEQ_CST) != before) {
			mixed++;
			continue;
		}
		failed++;
		ASSERT_FALSE(rec.none);
		point = dm_point_of(rec.point);
		ASSERT_TRUE(point == DM_COPY_PAGE_RANGE || point == DM_VM_AREA_DUP)
			TH_LOG("%s", rec.point);
		ASSERT_TRUE(rec.index == v[0] || rec.index == v[1])
			TH_LOG("VMA %d, not %d or %d", rec.index, v[0], v[1]);
		seen |= 1u << (point == DM_VM_AREA_DUP);
		seen |= 4u << (rec.index == v[1]);
		seen |= 16u << rec.alloc_nth;
		seen |= 64u << !strcmp(rec.recovery, "upstream");
		seen |= (rec.err == -EINTR) << 8;
	}
	ASSERT_STREQ("", dm_get_maps(&after));
	EXPECT_STREQ(maps.text, after.text);
	__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
	ASSERT_EQ(0, sem_post(&reset_now));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, pthread_join(thread[i], NULL));
		for (k = 0; k < 3; k++) {
			EXPECT_EQ(0, turns[i][k].wrong)
				TH_LOG("%s", turns[i][k].file);
		}
	}
	ASSERT_EQ(0, pthread_join(resetter, NULL));
	EXPECT_EQ(0, wrong);
	TH_LOG("of %d forks %d failed, %d more with a reset in them, seen %#x", nr,
	       failed, mixed, seen);
	EXPECT_GE(failed, need);
	EXPECT_GT(mixed, 0);
	EXPECT_EQ(all, seen);

	dm_reset();
	dm_alloc_end(&self->alloc);
	EXPECT_STREQ("", dm_check_taint(taint));
	for (i = 0; i < 2; i++) {
		EXPECT_STREQ("", dm_check_layout(&l[i]));
		EXPECT_STREQ("", dm_check_clean_fork(&l[i]));
		EXPECT_STREQ("", dm_unbuild(&l[i]));
	}
}

#define NR_SMALL	16384

#define STACK		(256ul << 10)

struct changer {
	pthread_attr_t attr;
	pthread_t thread;
	const char *to;
	int uffd, fd;			/* that says so; of the file to be changed */
	int over, changed;
	ssize_t written;
};

/*
 * In memory that a fork does not copy, and so is the stack: a page fault would make it
 * wait for the end of the fork.
 */
static struct changer *make_changer(struct __test_metadata *_metadata)
{
	struct changer *c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	ASSERT_NE(MAP_FAILED, (void *)c);
	ASSERT_NE(MAP_FAILED, stack);
	ASSERT_EQ(0, madvise(stack, STACK, MADV_DONTFORK));
	ASSERT_EQ(0, pthread_attr_init(&c->attr));
	ASSERT_EQ(0, pthread_attr_setstack(&c->attr, stack, STACK));
	return c;
}

/*
 * As soon as the fork has begun. From when it has come to the VMA that a userfaultfd
 * watches for forks until it is over, that userfaultfd has nobody change its memory:
 * which it says at once, before it looks at what it was asked.
 */
static void *change_recovery(void *arg)
{
	struct changer *c = arg;

	while (!__atomic_load_n(&c->over, __ATOMIC_SEQ_CST)) {
		if (!ioctl(c->uffd, UFFDIO_WRITEPROTECT, NULL) || errno != EAGAIN) {
			sched_yield();
			continue;
		}
		c->written = write(c->fd, c->to, strlen(c->to));
		__atomic_store_n(&c->changed, 1, __ATOMIC_SEQ_CST);
		break;
	}
	return NULL;
}

/* Of a page below all that was mapped before. */
static int watch_for_forks(struct __test_metadata *_metadata, struct dm_layout *l)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_EVENT_FORK,
	};
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	ASSERT_EQ(NULL, dm_build(l, DM_ANON, DM_FIRST));
	reg.range.start = (unsigned long)l->addr;
	reg.range.len = l->len;
	ASSERT_GE(uffd, 0);
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_API, &api));
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_REGISTER, &reg));
	return uffd;
}

/* Who recovers is settled when the fork begins. */
TEST_F_TIMEOUT(file, recovery_changes_during_a_fork, 600)
{
	static const char * const recoveries[] = { "rust", "upstream" };
	size_t page = sysconf(_SC_PAGESIZE), nr_small = 0, want = 128;
	int nr, err, uffd, changed = 0, seen = 0;
	struct dm_layout watched;
	struct dm_record rec;
	struct changer *c = make_changer(_metadata);
	char *p;

	c->fd = open_file(_metadata, "recovery", O_WRONLY);
	uffd = watch_for_forks(_metadata, &watched);
	p = mmap(NULL, NR_SMALL * page, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	for (nr = 0; nr < 200 && seen < 4; nr++) {
		/* So many VMAs that there is time to change it while they are copied. */
		if (nr && !changed && want < NR_SMALL)
			want *= 2;
		for (; nr_small < want; nr_small += 2)
			ASSERT_EQ(0, mprotect(p + nr_small * page, page, PROT_READ));
		ASSERT_STREQ("", dm_use_recovery(recoveries[nr % 2]));
		ASSERT_STREQ("", dm_arm(DM_ARCH_DUP_MMAP, -1, 0));
		c->to = recoveries[(nr + 1) % 2];
		c->uffd = uffd;
		c->over = 0;
		c->changed = 0;
		ASSERT_EQ(0, pthread_create(&c->thread, &c->attr, change_recovery, c));
		ASSERT_EQ(-1, dm_fork(&err));
		changed = __atomic_load_n(&c->changed, __ATOMIC_SEQ_CST);
		__atomic_store_n(&c->over, 1, __ATOMIC_SEQ_CST);
		ASSERT_EQ(0, pthread_join(c->thread, NULL));
		if (changed)
			ASSERT_EQ((ssize_t)strlen(c->to), c->written);
		seen += changed;
		ASSERT_STREQ("", dm_get_record(&rec));
		ASSERT_STREQ(dm_points[DM_ARCH_DUP_MMAP].name, rec.point);
		ASSERT_STREQ(recoveries[nr % 2], rec.recovery) TH_LOG("fork %d", nr);
	}
	TH_LOG("changed during %d of %d forks, the last of %zu VMAs", seen, nr, nr_small);
	EXPECT_EQ(4, seen);
	close(uffd);
	EXPECT_STREQ("", dm_unbuild(&watched));
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
