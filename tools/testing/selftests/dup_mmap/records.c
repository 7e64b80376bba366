// SPDX-License-Identifier: GPL-2.0
/*
 * What the module says about a failed fork: the files' format, the errno, and
 * that the Rust recovery does what upstream's does, VMA for VMA.
 */
#include <fcntl.h>
#include <sys/syscall.h>

#include "dup_mmap.h"
#include "kselftest_harness.h"

static char text[8192];

FIXTURE(record) {
	char recovery[16];
};

FIXTURE_SETUP(record)
{
	dm_reset();
	snprintf(self->recovery, sizeof(self->recovery), "%s", dm_recovery());
}

FIXTURE_TEARDOWN_PARENT(record)
{
	dm_reset();
	if (self->recovery[0])
		dm_use_recovery(self->recovery);
}

static void check_keys(struct __test_metadata *_metadata, const char *file,
		       const char * const *keys)
{
	char *line = text, *next, *colon;

	ASSERT_GT(dm_read(file, text, sizeof(text)), 0);
	for (; *line; line = next, keys++) {
		next = strchr(line, '\n');
		ASSERT_NE(NULL, next);
		*next++ = '\0';
		colon = strstr(line, ": ");
		ASSERT_NE(NULL, colon);
		*colon = '\0';
		ASSERT_NE(NULL, *keys);
		ASSERT_STREQ(*keys, line);
	}
	ASSERT_EQ(NULL, *keys);
}

TEST_F(record, last_has_its_keys_in_order)
{
	static const char * const keys[] = {
		"pid", "comm", "point", "vma-index", "vma", "errno", "injected",
		"alloc-nth", "recovery-alloc-nth", "recovery-alloc-failed",
		"recovery", "class", "end", "vmas-copied", "vmas-torn-down",
		"pages-uncharged", "ns", NULL
	};
	struct dm_record rec;

	ASSERT_STREQ("", dm_shoot(DM_VM_AREA_DUP, 1, 0, self->recovery, &rec));
	check_keys(_metadata, "last", keys);
	/* Also when most of them have nothing to say. */
	ASSERT_STREQ("", dm_shoot(DM_MT_DUP, -1, 0, self->recovery, &rec));
	check_keys(_metadata, "last", keys);
}

TEST_F(record, last_is_none_after_reset)
{
	struct dm_record rec;

	ASSERT_STREQ("", dm_shoot(DM_MT_DUP, -1, 0, self->recovery, &rec));
	ASSERT_EQ(0, dm_write("reset", "1"));
	ASSERT_GT(dm_read("last", text, sizeof(text)), 0);
	ASSERT_STREQ("none\n", text);
}

TEST_F(record, stats_have_their_keys_in_order)
{
	static const char * const keys[] = {
		"forks", "failed", "injected", "allocs-failed", "allocs-missed",
		"recovered-rust", "recovered-upstream", "vmas-torn-down",
		"pages-uncharged", NULL
	};

	check_keys(_metadata, "stats", keys);
}

/* Only x86 has something to copy there that takes memory, the LDT. */
static bool arch_dup_mmap_can_fail(void)
{
#ifdef __x86_64__
	return !syscall(SYS_modify_ldt, 0, NULL, 0);
#else
	return false;
#endif
}

TEST_F(record, points_are_all_there)
{
	unsigned long hits, injected;
	char name[32], kept, *line, *next;
	int p, n, err, len;

	ASSERT_GT(dm_read("points", text, sizeof(text)), 0);
	ASSERT_EQ('#', text[0]);
	line = strchr(text, '\n');
	ASSERT_NE(NULL, line);
	line++;
	for (p = 0; p < DM_NR_POINTS; p++, line = next) {
		next = strchr(line, '\n');
		ASSERT_NE(NULL, next) TH_LOG("after %d points", p);
		*next++ = '\0';
		len = 0;
		n = sscanf(line, "%31s %d %lu %lu %c %n", name, &err, &hits,
			   &injected, &kept, &len);
		ASSERT_EQ(5, n) TH_LOG("%s", line);
		ASSERT_STREQ(dm_points[p].name, name);
		ASSERT_EQ(dm_points[p].err, err);
		ASSERT_EQ(dm_points[p].err_kept ? 'y' : 'n', kept);
		/* Says what makes it fail, or that nothing does. */
		ASSERT_NE('\0', line[len]);
		if (p == DM_ARCH_DUP_MMAP)
			EXPECT_EQ(arch_dup_mmap_can_fail(),
				  !strstr(line + len, "by injection only"));
	}
	ASSERT_EQ('\0', *line);
}

TEST_F(record, hits_count_without_injection)
{
	static struct dm_maps maps;
	struct dm_counts a, b;
	int p, v, err;
	pid_t pid;

	ASSERT_STREQ("", dm_get_maps_and_flags(&maps));
	ASSERT_STREQ("", dm_get_counts(&a));
	pid = dm_fork(&err);
	ASSERT_GT(pid, 0);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	ASSERT_STREQ("", dm_get_counts(&b));
	for (p = 0; p < DM_NR_POINTS; p++) {
		unsigned long want = !dm_points[p].has_vma;

		for (v = 0; v < maps.nr; v++)
			want += dm_reached(p, &maps.vma[v]);
		/* Others may fork at the same time. */
		EXPECT_GE(b.hits[p] - a.hits[p], want)
			TH_LOG("at %s", dm_points[p].name);
		EXPECT_EQ(b.injected[p], a.injected[p]);
	}
}

TEST_F(record, kernel_log_says_injected)
{
	bool forced = false, named = false;
	ssize_t n;
	pid_t pid;
	int fd, err;

	fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		SKIP(return, "/dev/kmsg: %s", strerror(errno));
	lseek(fd, 0, SEEK_END);
	ASSERT_STREQ("", dm_arm(DM_MT_DUP, -1, 0));
	ASSERT_EQ(0, dm_write(DM_FAIL "verbose", "1"));
	pid = dm_fork(&err);
	dm_disarm();
	ASSERT_EQ(-1, pid);
	while ((n = read(fd, text, sizeof(text) - 1)) > 0) {
		text[n] = '\0';
		forced |= !!strstr(text, "FAULT_INJECTION: forcing a failure");
		named |= !!strstr(text, "name fail_dup_mmap");
	}
	close(fd);
	EXPECT_TRUE(forced);
	EXPECT_TRUE(named);
}

FIXTURE(point) {
	char recovery[16];
};

FIXTURE_VARIANT(point) {
	enum dm_point point;
};

FIXTURE_VARIANT_ADD(point, mmap_write_lock) { DM_MMAP_WRITE_LOCK };
FIXTURE_VARIANT_ADD(point, mt_dup) { DM_MT_DUP };
FIXTURE_VARIANT_ADD(point, vma_start_write) { DM_VMA_START_WRITE };
FIXTURE_VARIANT_ADD(point, clear_dontcopy) { DM_CLEAR_DONTCOPY };
FIXTURE_VARIANT_ADD(point, vm_enough_memory) { DM_VM_ENOUGH_MEMORY };
FIXTURE_VARIANT_ADD(point, vm_area_dup) { DM_VM_AREA_DUP };
FIXTURE_VARIANT_ADD(point, dup_policy) { DM_DUP_POLICY };
FIXTURE_VARIANT_ADD(point, dup_userfaultfd) { DM_DUP_USERFAULTFD };
FIXTURE_VARIANT_ADD(point, anon_vma_fork) { DM_ANON_VMA_FORK };
FIXTURE_VARIANT_ADD(point, copy_page_range) { DM_COPY_PAGE_RANGE };
FIXTURE_VARIANT_ADD(point, arch_dup_mmap) { DM_ARCH_DUP_MMAP };

FIXTURE_SETUP(point)
{
	dm_reset();
	snprintf(self->recovery, sizeof(self->recovery), "%s", dm_recovery());
}

FIXTURE_TEARDOWN_PARENT(point)
{
	dm_reset();
	if (self->recovery[0])
		dm_use_recovery(self->recovery);
}

/* One VMA of each kind, so that every point is reached for some. */
static int build_all(struct __test_metadata *_metadata, struct dm_layout *l)
{
	const char *why;
	int k, p, n = 0;

	for (k = 0; k < DM_NR_KINDS; k++) {
		/* The first and the last one are of another kind each. */
		p = k == DM_DONTFORK ? DM_FIRST :
		    k == DM_BEFORE_DONTFORK ? DM_LAST : DM_MIDDLE;
		why = dm_build(&l[n], k, p);
		if (why) {
			TH_LOG("%s VMA: %s", dm_kind_names[k], why);
			dm_unbuild(&l[n]);
			continue;
		}
		n++;
	}
	return n;
}

static void unbuild_all(struct __test_metadata *_metadata, struct dm_layout *l,
			int n)
{
	while (n--) {
		EXPECT_STREQ("", dm_check_layout(&l[n]));
		EXPECT_STREQ("", dm_unbuild(&l[n]));
	}
}

static bool same(const struct dm_record *a, const struct dm_record *b)
{
	return a->none == b->none && !strcmp(a->point, b->point) &&
	       a->index == b->index && a->has_vma == b->has_vma &&
	       a->start == b->start && a->end_addr == b->end_addr &&
	       a->err == b->err && a->injected == b->injected &&
	       !strcmp(a->class, b->class) && a->has_end == b->has_end &&
	       a->end == b->end && a->copied == b->copied &&
	       a->torn_down == b->torn_down && a->uncharged == b->uncharged;
}

TEST_F_TIMEOUT(point, same_for_rust_and_upstream, 300)
{
	struct dm_layout l[DM_NR_KINDS];
	static struct dm_maps maps;
	struct dm_record rust, upstream;
	int n, v, fired = 0;

	n = build_all(_metadata, l);
	ASSERT_STREQ("", dm_get_maps_and_flags(&maps));
	/* Every VMA of the process; -1: the first one that gets there. */
	for (v = -1; v < maps.nr; v++) {
		if (v >= 0 && !dm_points[variant->point].has_vma)
			break;
		/* These only keep the others apart, and there are many. */
		if (v >= 0 && maps.vma[v].no_access)
			continue;
		ASSERT_STREQ("", dm_use_recovery("upstream"));
		ASSERT_STREQ("", dm_shoot(variant->point, v, 0, "upstream", &upstream))
			TH_LOG("upstream, VMA %d", v);
		ASSERT_STREQ("", dm_use_recovery("rust"));
		ASSERT_STREQ("", dm_shoot(variant->point, v, 0, "rust", &rust))
			TH_LOG("rust, VMA %d", v);
		EXPECT_TRUE(same(&rust, &upstream))
			TH_LOG("VMA %d: rust %s %#llx %lu %lu %lu, upstream %s %#llx %lu %lu %lu",
			       v, rust.class, rust.end, rust.copied,
			       rust.torn_down, rust.uncharged, upstream.class,
			       upstream.end, upstream.copied, upstream.torn_down,
			       upstream.uncharged);
		fired += !rust.none;
	}
	EXPECT_GT(fired, 0);
	unbuild_all(_metadata, l, n);
}

TEST_F(point, errno_is_what_dup_mmap_returned)
{
	static const int errs[] = { -EINTR, -EAGAIN, -ENOMEM, -1, -4095 };
	struct dm_layout l[DM_NR_KINDS];
	struct dm_record rec;
	size_t i;
	int n;

	n = build_all(_metadata, l);
	for (i = 0; i < ARRAY_SIZE(errs); i++) {
		ASSERT_STREQ("", dm_shoot(variant->point, -1, errs[i],
					  self->recovery, &rec))
			TH_LOG("errno %d", errs[i]);
		ASSERT_FALSE(rec.none);
	}
	unbuild_all(_metadata, l, n);
}

int main(int argc, char **argv)
{
	dm_skip_unless_available();
	return test_harness_run(argc, argv);
}
