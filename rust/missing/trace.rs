// SPDX-License-Identifier: GPL-2.0

//! The tracepoints of `dup_mmap_recovery`.
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

/// A call begins whose steps are watched.
pub(crate) fn begin(recovery: &'static CStr) {
    // SAFETY: The name is a C string that lives for ever, of which the trace takes a copy.
    unsafe { raw::helper_trace_begin(recovery.as_char_ptr()) };
}

/// A step is about to be taken, or made to fail.
pub(crate) fn point(place: &Place) {
    // SAFETY: By its type invariant the point is one of C's; the rest is taken as it is.
    unsafe {
        raw::helper_trace_point(
            place.point.as_raw(),
            place.vma_index,
            place.start,
            place.end,
        )
    };
}

/// A call is held there.
pub(crate) fn hold_begins(at: &'static CStr) {
    // SAFETY: Both are C strings that live for ever, of which the trace takes copies.
    unsafe { raw::helper_trace_hold(at.as_char_ptr(), true, c"".as_char_ptr()) };
}

/// It is held no longer, and why.
pub(crate) fn hold_ends(at: &'static CStr, why: &'static CStr) {
    // SAFETY: Both are C strings that live for ever, of which the trace takes copies.
    unsafe { raw::helper_trace_hold(at.as_char_ptr(), false, why.as_char_ptr()) };
}

/// The mmap lock of `who` is dropped.
pub(crate) fn unlock(who: &'static CStr) {
    // SAFETY: The name is a C string that lives for ever, of which the trace takes a copy.
    unsafe { raw::helper_trace_unlock(who.as_char_ptr()) };
}

/// A call is over, with `error`, and has dropped its locks.
pub(crate) fn end(error: c_int, recovery: &'static CStr) {
    // SAFETY: The name is a C string that lives for ever, of which the trace takes a copy.
    unsafe { raw::helper_trace_end(error, recovery.as_char_ptr()) };
}
