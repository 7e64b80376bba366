// SPDX-License-Identifier: GPL-2.0

//! Who recovers: who is to, and who did.

#![forbid(unsafe_code)]

use crate::{
    hook::{
        RanBy,
        Unstable, //
    },
    value::Choice, //
};
use kernel::str::CStr;

/// Who is to recover.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recoverer {
    /// This module, [`crate::recovery::recover`].
    Rust,
    /// The kernel itself, `dup_mmap_recover()`.
    Upstream,
    /// Nobody until the locks are dropped, and the mm says so: Linux 6.14 to 6.19.
    XaZero,
    /// Nobody, and nothing says so: Linux 6.8 to 6.13.
    XaZeroBare,
}

impl Choice for Recoverer {
    const DEFAULT: Self = Self::Rust;
    const ALL: &'static [Self] = &[Self::Rust, Self::Upstream, Self::XaZero, Self::XaZeroBare];

    fn name(self) -> &'static CStr {
        match self {
            Self::Rust => c"rust",
            Self::Upstream => c"upstream",
            Self::XaZero => c"xa-zero",
            Self::XaZeroBare => c"xa-zero-bare",
        }
    }

    fn warning(self) -> Option<&'static str> {
        match self {
            Self::Rust | Self::Upstream => None,
            Self::XaZero | Self::XaZeroBare => Some(
                "recovery=xa-zero leaves half-built mms for others to find, as Linux 6.8 to 6.19 \
                 did. This is for comparison; never use it for anything else.",
            ),
        }
    }
}

impl RanBy {
    /// As `last` and the tracepoint have it.
    pub(crate) fn name(self) -> &'static CStr {
        match (self.module, self.kernel, self.left) {
            (true, false, None) => Recoverer::Rust.name(),
            (false, true, None) => Recoverer::Upstream.name(),
            (false, false, Some(Unstable(true))) => Recoverer::XaZero.name(),
            (false, false, Some(Unstable(false))) => Recoverer::XaZeroBare.name(),
            (false, false, None) => c"none",
            _ => c"both",
        }
    }
}
