// SPDX-License-Identifier: GPL-2.0

//! The running task: its name, its share in fault injection, and letting others run.
//!
//! C header: [`include/linux/sched.h`](srctree/include/linux/sched.h)

use crate::bindings::raw;
use kernel::{
    fmt::{
        self,
        Write, //
    },
    task::Task, //
};

const LEN: usize = 16;
const _: () = assert!(LEN == kernel::bindings::TASK_COMM_LEN as usize);

/// A copy of a task's `comm`.
#[derive(Clone, Copy)]
pub(crate) struct Comm([u8; LEN]);

impl Comm {
    /// Copies the running task's name.
    pub(crate) fn current() -> Self {
        let mut comm = [0; LEN];

        // SAFETY: `comm` has room for `TASK_COMM_LEN` bytes, which is all that is written.
        unsafe { raw::helper_current_comm(comm.as_mut_ptr()) };
        Self(comm)
    }
}

/// One line whatever the task calls itself: what is not printable ASCII is escaped.
impl fmt::Display for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.iter().take_while(|&&byte| byte != 0) {
            for c in byte.escape_ascii() {
                f.write_char(c.into())?;
            }
        }
        Ok(())
    }
}

/// Whether `task` has come to its end, `exit_state`.
pub(crate) fn has_exited(task: &Task) -> bool {
    // SAFETY: A reference to a task is valid; this reads a word of it.
    unsafe { raw::helper_task_has_exited(task.as_ptr()) }
}

/// Lets another task run if one should, like the C macro.
pub(crate) fn cond_resched() {
    // SAFETY: It takes nothing but a context that may sleep. To call it in another one is a bug that
    // C reports, as for every function of the `kernel` crate that sleeps.
    unsafe { raw::helper_cond_resched() };
}

/// The running task's `fail-nth`: which of the allocations and the like that it makes from now on
/// is to fail, or 0.
pub(crate) fn fail_nth() -> u32 {
    // SAFETY: Reads a word of the running task.
    unsafe { raw::helper_current_fail_nth() }
}

/// Sets the running task's `fail-nth`.
pub(crate) fn set_fail_nth(nth: u32) {
    // SAFETY: Writes one word of the running task, for which any number is valid. `should_fail()`
    // uses it in that task only; /proc/<pid>/fail-nth reads and writes it from others, as unlocked
    // as this.
    unsafe { raw::helper_set_current_fail_nth(nth) };
}

/// Whether the running task has asked to be made to fail, `/proc/<pid>/make-it-fail`.
pub(super) fn make_it_fail() -> bool {
    // SAFETY: Reads a flag of the running task.
    unsafe { raw::helper_current_make_it_fail() }
}
