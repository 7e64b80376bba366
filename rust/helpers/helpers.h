/* SPDX-License-Identifier: GPL-2.0 */
/* C that Rust cannot call: inlines, macros, and what differs between kernels. */
#ifndef DUP_MMAP_RECOVERY_HELPERS_H
#define DUP_MMAP_RECOVERY_HELPERS_H

#include <linux/completion.h>
#include <linux/dup_mmap.h>
#include <linux/fault-inject.h>
#include <linux/mm_types.h>

/* XA_ZERO_ENTRY, which is no constant to C. */
#define HELPER_ZERO_ENTRY ((257 << 2) | 2)

/* One line of linux/dup_mmap_points.h. */
struct dup_mmap_point_info {
	const char *name;
	const char *reason;
	int error;
	bool kept;
};

extern const struct dup_mmap_point_info dup_mmap_point_info[NR_DUP_MMAP_POINTS];

int helper_mm_map_count(const struct mm_struct *mm);
void helper_mm_set_oom_skip(struct mm_struct *mm);
void helper_mm_set_unstable(struct mm_struct *mm);
bool helper_mm_oom_skip(const struct mm_struct *mm);
bool helper_mm_unstable(const struct mm_struct *mm);
int helper_mm_users(const struct mm_struct *mm);
void helper_vma_start_write(struct vm_area_struct *vma);
void helper_vm_warn_on_once(bool condition);
bool helper_mm_mt_in_rcu(struct mm_struct *mm);
/* Erases the whole range of the state. Sleeps, and does not fail. */
void helper_mas_erase(struct ma_state *mas);
void helper_mm_mt_set_in_rcu(struct mm_struct *mm, bool in_rcu);
bool helper_mm_tlb_flush_pending(struct mm_struct *mm);
void helper_update_hiwater_rss(struct mm_struct *mm);

void helper_mmap_assert_write_locked(const struct mm_struct *mm);
void helper_mmap_write_lock(struct mm_struct *mm);
int __must_check helper_mmap_write_lock_killable(struct mm_struct *mm);
void helper_mmap_write_lock_nested(struct mm_struct *mm);
void helper_mmap_write_unlock(struct mm_struct *mm);
/*
 * Whether flush_tlb_mm() or flush_cache_mm() walks the VMAs of the mm. It has to
 * be said for each architecture that the module is built for.
 */
bool helper_flush_walks_vmas(void);
void helper_flush_cache_mm(struct mm_struct *mm);

unsigned long helper_first_user_address(void);
unsigned long helper_user_pgtables_ceiling(void);

void helper_reinit_completion(struct completion *completion);
bool helper_task_has_exited(const struct task_struct *task);
void helper_cond_resched(void);
void helper_current_comm(char *comm);
unsigned int helper_current_fail_nth(void);
void helper_set_current_fail_nth(unsigned int nth);
bool helper_current_make_it_fail(void);

void helper_fault_attr_init(struct fault_attr *attr);
void helper_fault_attr_disarm(struct fault_attr *attr);
bool helper_fault_attr_armed(struct fault_attr *attr);
bool helper_fault_attr_task_filter(const struct fault_attr *attr);
bool helper_fault_attr_may_say(struct fault_attr *attr);

/* The tracepoints; no VMA is an index of -1. */
void helper_trace_injected(enum dup_mmap_point point, int vma_index,
			   unsigned long start, unsigned long end, int error,
			   unsigned int alloc_nth);
void helper_trace_recovered(enum dup_mmap_point point, int vma_index,
			    unsigned long start, unsigned long end, int error,
			    const char *recovery, unsigned long extent,
			    unsigned long nr_copied, unsigned long nr_vmas,
			    unsigned long nr_accounted);

void helper_trace_begin(const char *recovery);
void helper_trace_point(enum dup_mmap_point point, int vma_index,
			unsigned long start, unsigned long end);
void helper_trace_hold(const char *at, bool begins, const char *why);
void helper_trace_unlock(const char *who);
void helper_trace_end(int error, const char *recovery);

#endif /* DUP_MMAP_RECOVERY_HELPERS_H */
