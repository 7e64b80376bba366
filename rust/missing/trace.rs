// SPDX-License-Identifier: GPL-2.0

//! The tracepoints `dup_mmap_recovery:injected` and `:recovered`.
//!
//! C: `rust/helpers/trace.h`

use crate::{
    bindings::raw,
    hook::Point, //
};
use kernel::{
    ffi::c_int,
    str::{
        CStr,
        CStrExt as _, //
    },
};

/// The step that a fork has come to, and the VMA of the parent that it is about.
pub(crate) struct Place {
    /// The step.
    pub(crate) point: Point,
    /// The ordinal of the VMA, from 0; -1 for none.
    pub(crate) vma_index: c_int,
    /// The VMA's first address, or 0.
    pub(crate) start: usize,
    /// The address behind its last, or 0.
    pub(crate) end: usize,
}

/// A step, or if it is not 0 the `alloc_nth`-th allocation in it, was made to fail.
pub(crate) fn injected(place: &Place, error: c_int, alloc_nth: u32) {
    // SAFETY: By its type invariant the point is one of C's; the rest is taken as it is.
    unsafe {
        raw::helper_trace_injected(
            place.point.as_raw(),
            place.vma_index,
            place.start,
            place.end,
            error,
            alloc_nth,
        )
    };
}

/// What a recovery has undone.
pub(crate) struct Undone {
    /// Whose recovery it was.
    pub(crate) recovery: &'static CStr,
    /// Where the copied VMAs ended, exclusive.
    pub(crate) extent: usize,
    /// How many there were.
    pub(crate) nr_copied: usize,
    /// How many were torn down.
    pub(crate) nr_vmas: usize,
    /// Pages given back to the commit limit.
    pub(crate) nr_accounted: usize,
}

/// A half-built mm was taken apart.
pub(crate) fn recovered(place: &Place, error: c_int, undone: &Undone) {
    // SAFETY: By its type invariant the point is one of C's, and the name is a C string that lives
    // for ever, of which the trace takes a copy; the rest is taken as it is.
    unsafe {
        raw::helper_trace_recovered(
            place.point.as_raw(),
            place.vma_index,
            place.start,
            place.end,
            error,
            undone.recovery.as_char_ptr(),
            undone.extent,
            undone.nr_copied,
            undone.nr_vmas,
            undone.nr_accounted,
        )
    };
}
