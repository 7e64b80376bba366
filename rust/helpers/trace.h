/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM dup_mmap_recovery

#if !defined(DUP_MMAP_RECOVERY_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define DUP_MMAP_RECOVERY_TRACE_H

#include <linux/tracepoint.h>

/* A call of dup_mmap() whose steps are watched. */
TRACE_EVENT(begin,
	TP_PROTO(const char *recovery),

	TP_ARGS(recovery),

	TP_STRUCT__entry(
		__string(recovery, recovery)
	),

	TP_fast_assign(
		__assign_str(recovery);
	),

	TP_printk("recovery=%s", __get_str(recovery))
);

/* Before a step of it. */
TRACE_EVENT(point,
	TP_PROTO(const char *point, int vma_index, unsigned long start,
		 unsigned long end),

	TP_ARGS(point, vma_index, start, end),

	TP_STRUCT__entry(
		__string(point, point)
		__field(int, vma_index)
		__field(unsigned long, start)
		__field(unsigned long, end)
	),

	TP_fast_assign(
		__assign_str(point);
		__entry->vma_index = vma_index;
		__entry->start = start;
		__entry->end = end;
	),

	TP_printk("point=%s vma_index=%d vma=%lx-%lx", __get_str(point),
		  __entry->vma_index, __entry->start, __entry->end)
);

/* A hold begins, or is over for this reason. */
TRACE_EVENT(hold,
	TP_PROTO(const char *at, bool begins, const char *why),

	TP_ARGS(at, begins, why),

	TP_STRUCT__entry(
		__string(at, at)
		__field(bool, begins)
		__string(why, why)
	),

	TP_fast_assign(
		__assign_str(at);
		__entry->begins = begins;
		__assign_str(why);
	),

	TP_printk("at=%s %s%s", __get_str(at),
		  __entry->begins ? "begins" : "ends: ",
		  __get_str(why))
);

/* An mmap lock is dropped: the parent's before the child is taken apart, or both. */
TRACE_EVENT(unlock,
	TP_PROTO(const char *who),

	TP_ARGS(who),

	TP_STRUCT__entry(
		__string(who, who)
	),

	TP_fast_assign(
		__assign_str(who);
	),

	TP_printk("who=%s", __get_str(who))
);

/* All locks are dropped, of a call that was watched or has failed. */
TRACE_EVENT(end,
	TP_PROTO(int error, const char *recovery),

	TP_ARGS(error, recovery),

	TP_STRUCT__entry(
		__field(int, error)
		__string(recovery, recovery)
	),

	TP_fast_assign(
		__entry->error = error;
		__assign_str(recovery);
	),

	TP_printk("error=%d recovery=%s", __entry->error,
		  __get_str(recovery))
);

TRACE_EVENT(injected,
	TP_PROTO(const char *point, int vma_index, unsigned long start,
		 unsigned long end, int error, unsigned int alloc_nth),

	TP_ARGS(point, vma_index, start, end, error, alloc_nth),

	TP_STRUCT__entry(
		__string(point, point)
		__field(int, vma_index)
		__field(unsigned long, start)
		__field(unsigned long, end)
		__field(int, error)
		__field(unsigned int, alloc_nth)
	),

	TP_fast_assign(
		__assign_str(point);
		__entry->vma_index = vma_index;
		__entry->start = start;
		__entry->end = end;
		__entry->error = error;
		__entry->alloc_nth = alloc_nth;
	),

	TP_printk("point=%s vma_index=%d vma=%lx-%lx error=%d alloc_nth=%u",
		  __get_str(point), __entry->vma_index, __entry->start,
		  __entry->end, __entry->error, __entry->alloc_nth)
);

TRACE_EVENT(recovered,
	TP_PROTO(const char *point, int vma_index, unsigned long start,
		 unsigned long end, int error, const char *recovery,
		 unsigned long extent, unsigned long nr_copied,
		 unsigned long nr_vmas, unsigned long nr_accounted),

	TP_ARGS(point, vma_index, start, end, error, recovery, extent,
		nr_copied, nr_vmas, nr_accounted),

	TP_STRUCT__entry(
		__string(point, point)
		__field(int, vma_index)
		__field(unsigned long, start)
		__field(unsigned long, end)
		__field(int, error)
		__string(recovery, recovery)
		__field(unsigned long, extent)
		__field(unsigned long, nr_copied)
		__field(unsigned long, nr_vmas)
		__field(unsigned long, nr_accounted)
	),

	TP_fast_assign(
		__assign_str(point);
		__entry->vma_index = vma_index;
		__entry->start = start;
		__entry->end = end;
		__entry->error = error;
		__assign_str(recovery);
		__entry->extent = extent;
		__entry->nr_copied = nr_copied;
		__entry->nr_vmas = nr_vmas;
		__entry->nr_accounted = nr_accounted;
	),

	TP_printk("point=%s vma_index=%d vma=%lx-%lx error=%d recovery=%s extent=%lx vmas_copied=%lu vmas_torn_down=%lu pages_uncharged=%lu",
		  __get_str(point), __entry->vma_index, __entry->start,
		  __entry->end, __entry->error, __get_str(recovery),
		  __entry->extent, __entry->nr_copied, __entry->nr_vmas,
		  __entry->nr_accounted)
);

#endif /* DUP_MMAP_RECOVERY_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
