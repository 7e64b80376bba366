/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM dup_mmap_recovery

#if !defined(DUP_MMAP_RECOVERY_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define DUP_MMAP_RECOVERY_TRACE_H

#include <linux/tracepoint.h>

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
