// SPDX-License-Identifier: GPL-2.0

//! Who recovers: who is to, and who did.

#![forbid(unsafe_code)]

use crate::hook::RanBy;
use kernel::str::CStr;

/// Who is to recover.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recoverer {
    /// This module, [`crate::recovery::recover`].
    Rust,
    /// The kernel itself, `dup_mmap_recover()`.
    Upstream,
}

impl Recoverer {
    /// Both, in the order in which the file `recovery` shows them.
    pub(crate) const ALL: [Self; 2] = [Self::Rust, Self::Upstream];

    /// Its name in that file.
    pub(crate) fn name(self) -> &'static CStr {
        match self {
            Self::Rust => c"rust",
            Self::Upstream => c"upstream",
        }
    }
}

impl RanBy {
    /// As `last` and the tracepoint have it.
    pub(crate) fn name(self) -> &'static CStr {
        match (self.module, self.kernel) {
            (true, false) => Recoverer::Rust.name(),
            (false, true) => Recoverer::Upstream.name(),
            (false, false) => c"none",
            (true, true) => c"both",
        }
    }
}
