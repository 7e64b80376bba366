// SPDX-License-Identifier: GPL-2.0
/* See helpers.h. */
#include <linux/build_bug.h>
#include <linux/completion.h>
#include <linux/mm.h>
#include <linux/mmdebug.h>
#include <linux/module.h>
#include <linux/pgtable.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/xarray.h>

#include "mm/internal.h"
#include "helpers.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/* module! has no key for it: loading a test taints the kernel as one. */
MODULE_INFO(test, "Y");

const struct dup_mmap_point_info dup_mmap_point_info[NR_DUP_MMAP_POINTS] = {
#define DUP_MMAP_POINT(point, _name, _error, _kept, _reason)		\
	[DUP_MMAP_##point] = {						\
		.name = (_name),					\
		.reason = (_reason),					\
		.error = (_error),					\
		.kept = (_kept),					\
	},
#include <linux/dup_mmap_points.h>
#undef DUP_MMAP_POINT
};

int helper_mm_map_count(const struct mm_struct *mm)
{
	return READ_ONCE(mm->map_count);
}

void helper_mm_set_oom_skip(struct mm_struct *mm)
{
	mm_flags_set(MMF_OOM_SKIP, mm);
}

void helper_mm_set_unstable(struct mm_struct *mm)
{
	mm_flags_set(MMF_UNSTABLE, mm);
}

bool helper_mm_oom_skip(const struct mm_struct *mm)
{
	return mm_flags_test(MMF_OOM_SKIP, mm);
}

bool helper_mm_unstable(const struct mm_struct *mm)
{
	return mm_flags_test(MMF_UNSTABLE, mm);
}

int helper_mm_users(const struct mm_struct *mm)
{
	return atomic_read(&mm->mm_users);
}

void helper_vma_start_write(struct vm_area_struct *vma)
{
	vma_start_write(vma);
}

void helper_vm_warn_on_once(bool condition)
{
	VM_WARN_ON_ONCE(condition);
}

bool helper_mm_mt_in_rcu(struct mm_struct *mm)
{
	BUILD_BUG_ON((unsigned long)XA_ZERO_ENTRY != HELPER_ZERO_ENTRY);

	return mt_in_rcu(&mm->mm_mt);
}

void helper_mm_mt_set_in_rcu(struct mm_struct *mm, bool in_rcu)
{
	if (in_rcu)
		mt_set_in_rcu(&mm->mm_mt);
	else
		mt_clear_in_rcu(&mm->mm_mt);
}

void helper_mas_erase(struct ma_state *mas)
{
	mas_store_gfp(mas, NULL, GFP_KERNEL | __GFP_NOFAIL);
}

void helper_mmap_assert_write_locked(const struct mm_struct *mm)
{
	mmap_assert_write_locked(mm);
}

void helper_mmap_write_lock(struct mm_struct *mm)
{
	mmap_write_lock(mm);
}

int helper_mmap_write_lock_killable(struct mm_struct *mm)
{
	return mmap_write_lock_killable(mm);
}

void helper_mmap_write_lock_nested(struct mm_struct *mm)
{
	mmap_write_lock_nested(mm, SINGLE_DEPTH_NESTING);
}

void helper_mmap_write_unlock(struct mm_struct *mm)
{
	mmap_write_unlock(mm);
}

bool helper_mm_tlb_flush_pending(struct mm_struct *mm)
{
	return mm_tlb_flush_pending(mm);
}

void helper_update_hiwater_rss(struct mm_struct *mm)
{
	update_hiwater_rss(mm);
}

bool helper_flush_walks_vmas(void)
{
	/* flush_tlb_mm() in arch/um/kernel/tlb.c. */
	return IS_ENABLED(CONFIG_UML);
}

void helper_flush_cache_mm(struct mm_struct *mm)
{
	flush_cache_mm(mm);
}

unsigned long helper_first_user_address(void)
{
	return FIRST_USER_ADDRESS;
}

unsigned long helper_user_pgtables_ceiling(void)
{
	return USER_PGTABLES_CEILING;
}

void helper_reinit_completion(struct completion *completion)
{
	reinit_completion(completion);
}

bool helper_task_has_exited(const struct task_struct *task)
{
	return READ_ONCE(task->exit_state);
}

void helper_cond_resched(void)
{
	cond_resched();
}

void helper_current_comm(char *comm)
{
	strscpy(comm, current->comm, TASK_COMM_LEN);
}

unsigned int helper_current_fail_nth(void)
{
	return READ_ONCE(current->fail_nth);
}

void helper_set_current_fail_nth(unsigned int nth)
{
	WRITE_ONCE(current->fail_nth, nth);
}

bool helper_current_make_it_fail(void)
{
	return current->make_it_fail;
}

void helper_fault_attr_init(struct fault_attr *attr)
{
	*attr = (struct fault_attr)FAULT_ATTR_INITIALIZER;
	/* The initializer is for static memory: a lock elsewhere needs a class for lockdep. */
	ratelimit_state_init(&attr->ratelimit_state, 0, DEFAULT_RATELIMIT_BURST);
}

/* Back to FAULT_ATTR_INITIALIZER, but for what belongs to the directory. */
void helper_fault_attr_disarm(struct fault_attr *attr)
{
	WRITE_ONCE(attr->probability, 0);
	WRITE_ONCE(attr->interval, 1);
	atomic_set(&attr->times, 1);
	atomic_set(&attr->space, 0);
	WRITE_ONCE(attr->verbose, 2);
	WRITE_ONCE(attr->ratelimit_state.interval, 0);
	WRITE_ONCE(attr->ratelimit_state.burst, DEFAULT_RATELIMIT_BURST);
	WRITE_ONCE(attr->task_filter, false);
	WRITE_ONCE(attr->count, 0);
	WRITE_ONCE(attr->stacktrace_depth, 32);
	WRITE_ONCE(attr->require_start, 0);
	WRITE_ONCE(attr->require_end, ULONG_MAX);
	WRITE_ONCE(attr->reject_start, 0);
	WRITE_ONCE(attr->reject_end, 0);
}

bool helper_fault_attr_armed(struct fault_attr *attr)
{
	return READ_ONCE(attr->probability) && atomic_read(&attr->times);
}

bool helper_fault_attr_task_filter(const struct fault_attr *attr)
{
	return READ_ONCE(attr->task_filter);
}

/* As fail_dump() asks. */
bool helper_fault_attr_may_say(struct fault_attr *attr)
{
	return READ_ONCE(attr->verbose) > 0 && __ratelimit(&attr->ratelimit_state);
}

void helper_trace_injected(enum dup_mmap_point point, int vma_index,
			   unsigned long start, unsigned long end, int error,
			   unsigned int alloc_nth)
{
	trace_injected(dup_mmap_point_info[point].name, vma_index, start, end,
		       error, alloc_nth);
}

void helper_trace_recovered(enum dup_mmap_point point, int vma_index,
			    unsigned long start, unsigned long end, int error,
			    const char *recovery, unsigned long extent,
			    unsigned long nr_copied, unsigned long nr_vmas,
			    unsigned long nr_accounted)
{
	trace_recovered(dup_mmap_point_info[point].name, vma_index, start, end,
			error, recovery, extent, nr_copied, nr_vmas,
			nr_accounted);
}

void helper_trace_begin(const char *recovery)
{
	trace_begin(recovery);
}

void helper_trace_point(enum dup_mmap_point point, int vma_index,
			unsigned long start, unsigned long end)
{
	trace_point(dup_mmap_point_info[point].name, vma_index, start, end);
}

void helper_trace_hold(const char *at, bool begins, const char *why)
{
	trace_hold(at, begins, why);
}

void helper_trace_unlock(const char *who)
{
	trace_unlock(who);
}

void helper_trace_end(int error, const char *recovery)
{
	trace_end(error, recovery);
}
