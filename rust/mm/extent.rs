// SPDX-License-Identifier: GPL-2.0

//! How far `dup_mmap()` came.

/// How far `dup_mmap()` came with replacing the parent's VMAs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// No VMA in the tree is the child's.
    Nothing,
    /// VMAs below this address are, those at or above it are the parent's.
    Below(usize),
    /// All are.
    Everything,
}

impl Extent {
    /// As one number, the `end` of C: exclusive, 0 for nothing, `ULONG_MAX` for everything.
    pub(crate) fn end(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Below(end) => end,
            Self::Everything => usize::MAX,
        }
    }

    /// The inverse of [`Extent::end`].
    pub(crate) fn from_end(end: usize) -> Self {
        match end {
            0 => Self::Nothing,
            usize::MAX => Self::Everything,
            end => Self::Below(end),
        }
    }
}
