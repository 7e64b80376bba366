// SPDX-License-Identifier: GPL-2.0

//! The running task's allocations from here to there, by way of its `fail-nth`.
//!
//! C: `should_fail_ex()` in [`lib/fault-inject.c`](srctree/lib/fault-inject.c)

#![forbid(unsafe_code)]

use crate::missing::{
    fail_nth,
    set_fail_nth, //
};
use core::num::NonZeroU32;
use kernel::types::NotThreadSafe;

/// The running task's allocations while it lives, counted, and one of them made to fail.
///
/// What counts is what failslab and fail_page_alloc let through, and any other fault attribute.
/// Whatever the task had set is put back when this is dropped, and has not moved meanwhile.
pub(crate) struct AllocWindow {
    /// The task's own.
    saved: u32,
    nth: NonZeroU32,
    /// It is that task's `fail-nth`.
    _nts: NotThreadSafe,
}

impl AllocWindow {
    /// More than any step makes.
    const ALL: NonZeroU32 = NonZeroU32::new(i32::MAX as u32).unwrap();

    /// Begins. Makes the `nth` allocation fail, counted from 1, if there is one.
    pub(crate) fn open(nth: Option<NonZeroU32>) -> Self {
        let nth = nth.unwrap_or(Self::ALL);
        let saved = fail_nth();

        set_fail_nth(nth.get());
        Self {
            saved,
            nth,
            _nts: NotThreadSafe,
        }
    }

    /// Ends, and tells what has happened.
    pub(crate) fn close(self) -> Allocations {
        let left = fail_nth();

        Allocations {
            nr: self.nth.get().wrapping_sub(left),
            failed: left == 0,
        }
    }
}

impl Drop for AllocWindow {
    fn drop(&mut self) {
        set_fail_nth(self.saved);
    }
}

/// What [`AllocWindow::close`] tells.
pub(crate) struct Allocations {
    /// How many there were, up to the one that failed.
    pub(crate) nr: u32,
    /// Whether one was made to fail.
    pub(crate) failed: bool,
}

/// Runs `f`, which allocates for the module, without the task's `fail-nth` to count or fail it.
pub(crate) fn unseen_by_fail_nth<R>(f: impl FnOnce() -> R) -> R {
    let saved = fail_nth();

    set_fail_nth(0);
    let ret = f();
    set_fail_nth(saved);
    ret
}
