// SPDX-License-Identifier: GPL-2.0

//! What an mm says of itself to those who come across it.
//!
//! C: `mm_flags_test()` in [`include/linux/mm.h`](srctree/include/linux/mm.h)

use crate::bindings::raw;
use kernel::{
    fmt,
    mm::Mm, //
};

/// Those of an mm's flags that a recovery sets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct MmFlags {
    /// `MMF_OOM_SKIP`: the OOM killer does not look at it.
    pub(crate) oom_skip: bool,
    /// `MMF_UNSTABLE`: it is not to be used.
    pub(crate) unstable: bool,
}

impl MmFlags {
    /// As they are now.
    pub(crate) fn of(mm: &Mm) -> Self {
        Self {
            // SAFETY: The reference keeps the mm valid; the flags are atomic.
            oom_skip: unsafe { raw::helper_mm_oom_skip(mm.as_raw()) },
            // SAFETY: The reference is still there, and these are the same atomic flags.
            unstable: unsafe { raw::helper_mm_unstable(mm.as_raw()) },
        }
    }
}

/// Their names, without a space, which in `log` would end the value.
impl fmt::Display for MmFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.oom_skip, self.unstable) {
            (true, true) => "oom-skip,unstable",
            (true, false) => "oom-skip",
            (false, true) => "unstable",
            (false, false) => "-",
        })
    }
}
