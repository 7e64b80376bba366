// SPDX-License-Identifier: GPL-2.0

//! A completion that can be waited for until a time or a fatal signal, and used again.
//!
//! `kernel::sync::Completion` waits for ever, and once.
//!
//! C header: [`include/linux/completion.h`](srctree/include/linux/completion.h)

use crate::bindings::raw;
use kernel::{
    bindings,
    prelude::*,
    time::Jiffies,
    types::Opaque, //
};

/// How a wait has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// [`Gate::open`] was called.
    Opened,
    /// The time is over.
    TimedOut,
    /// The task has a fatal signal.
    Killed,
}

/// A `struct completion`.
///
/// # Invariants
///
/// It is initialised and stays where it is.
#[pin_data]
pub(crate) struct Gate {
    #[pin]
    inner: Opaque<bindings::completion>,
}

// SAFETY: A completion may be dropped by any task.
unsafe impl Send for Gate {}
// SAFETY: C lets several tasks wait for a completion and complete it, under a lock of its own; to
// close it writes one word.
unsafe impl Sync for Gate {}

impl Gate {
    /// Closed.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            // INVARIANT: C initialises all of it, and the field is pinned.
            inner <- Opaque::ffi_init(|inner| {
                // SAFETY: `inner` is valid for writes.
                unsafe { bindings::init_completion(inner) }
            }),
        })
    }

    /// Closes it again, `reinit_completion()`. Nobody should be waiting: a task that was let
    /// through and has not woken up yet would go on waiting.
    pub(crate) fn close(&self) {
        // SAFETY: By the type invariant it is initialised.
        unsafe { raw::helper_reinit_completion(self.inner.get()) };
    }

    /// Opens it for all who wait and all who come, `complete_all()`.
    pub(crate) fn open(&self) {
        // SAFETY: By the type invariant it is initialised.
        unsafe { bindings::complete_all(self.inner.get()) };
    }

    /// Waits until it is open, but not longer than `timeout` nor past a fatal signal,
    /// `wait_for_completion_killable_timeout()`.
    pub(crate) fn wait(&self, timeout: Jiffies) -> Woken {
        // SAFETY: By the type invariant it is initialised.
        let left =
            unsafe { bindings::wait_for_completion_killable_timeout(self.inner.get(), timeout) };

        match left {
            0 => Woken::TimedOut,
            1.. => Woken::Opened,
            _ => Woken::Killed,
        }
    }
}
