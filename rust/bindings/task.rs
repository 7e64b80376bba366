// SPDX-License-Identifier: GPL-2.0

//! The running task: its name, and letting others run.
//!
//! C header: [`include/linux/sched.h`](srctree/include/linux/sched.h)

use super::raw;
use kernel::fmt::{
    self,
    Write, //
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

/// Lets another task run if one should, like the C macro.
pub(crate) fn cond_resched() {
    // SAFETY: Callable wherever sleeping is; there is no way to hold a spinlock in safe code here.
    unsafe { raw::helper_cond_resched() };
}
