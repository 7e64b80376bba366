// SPDX-License-Identifier: GPL-2.0

//! Fault attributes: whether, when and to whom a failure is injected.
//!
//! C header: [`include/linux/fault-inject.h`](srctree/include/linux/fault-inject.h)

use super::task::make_it_fail;
use crate::bindings::raw;
use kernel::{
    prelude::*,
    types::Opaque, //
};

/// A `struct fault_attr`, disarmed until root writes to its files.
///
/// # Invariants
///
/// The attribute is initialised and stays where it is.
#[pin_data]
pub(crate) struct FaultAttr {
    #[pin]
    attr: Opaque<raw::fault_attr>,
}

// SAFETY: The C code lets several tasks use an attribute at once: its fields are independent words,
// and its rate limit has a lock.
unsafe impl Send for FaultAttr {}
// SAFETY: All that `&FaultAttr` gives is `should_fail()` and what root may write, which C takes
// from any task at any time.
unsafe impl Sync for FaultAttr {}

impl FaultAttr {
    /// Like `DECLARE_FAULT_ATTR()`.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            // INVARIANT: The helper writes all of it, and the field is pinned.
            attr <- Opaque::ffi_init(|attr| {
                // SAFETY: `attr` is valid for writes.
                unsafe { raw::helper_fault_attr_init(attr) }
            }),
        })
    }

    /// Asks the framework whether to fail now, like `should_fail()`.
    ///
    /// Takes part in `/proc/<pid>/fail-nth`, `make-it-fail` and the stack trace filter, and prints
    /// the line that they print.
    pub(crate) fn should_fail(&self) -> bool {
        // SAFETY: By the type invariant the attribute is initialised.
        unsafe { raw::should_fail(self.attr.get(), 1) }
    }

    /// Whether anybody may be made to fail, as far as `probability` and `times` go.
    pub(crate) fn is_armed(&self) -> bool {
        // SAFETY: By the type invariant the attribute is initialised, and it is only read.
        unsafe { raw::helper_fault_attr_armed(self.attr.get()) }
    }

    /// Whether the running task is one that may be made to fail, as far as `task-filter` goes.
    pub(crate) fn filter_lets_current_through(&self) -> bool {
        // SAFETY: By the type invariant the attribute is initialised.
        let filter = unsafe { raw::helper_fault_attr_task_filter(self.attr.get()) };

        !filter || make_it_fail()
    }

    /// Whether one more line about failures may go to the kernel's log, like `fail_dump()`.
    ///
    /// It may if `verbose` is not 0 and the rate limit leaves room. Then it counts for the limit,
    /// whose lock is tried and never waited for.
    pub(crate) fn may_say(&self) -> bool {
        // SAFETY: By the type invariant the attribute is initialised, and so is its rate limit.
        unsafe { raw::helper_fault_attr_may_say(self.attr.get()) }
    }

    /// Puts every knob back to where [`FaultAttr::new`] had it.
    pub(crate) fn disarm(&self) {
        // SAFETY: By the type invariant the attribute is initialised.
        unsafe { raw::helper_fault_attr_disarm(self.attr.get()) }
    }

    /// For [`super::debugfs::Dir::fault_attr`].
    pub(super) fn as_raw(&self) -> *mut raw::fault_attr {
        self.attr.get()
    }
}
