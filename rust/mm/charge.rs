// SPDX-License-Identifier: GPL-2.0

//! Pages counted against the commit limit.
//!
//! C header: [`include/linux/mman.h`](srctree/include/linux/mman.h)

use crate::bindings::raw;

/// Accounted pages (`VM_ACCOUNT`) that are to be given back.
///
/// Comes from a VMA's removal only, so it cannot be given back while the VMA exists, nor twice.
#[must_use = "pages that are not given back stay in Committed_AS for ever"]
pub(crate) struct Charge {
    pages: usize,
}

impl Charge {
    /// No page at all.
    pub(crate) const NONE: Self = Self { pages: 0 };

    /// The accounted pages of a VMA that has just been removed.
    pub(super) fn of_removed_vma(pages: usize) -> Self {
        Self { pages }
    }

    /// The sum of two charges.
    ///
    /// Cannot overflow: the VMAs of one mm do not overlap.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            pages: self.pages.wrapping_add(other.pages),
        }
    }

    /// Gives the pages back, like `vm_unacct_memory()`, and returns how many they were.
    pub(crate) fn give_back(self) -> usize {
        // SAFETY: Only adds to a counter; that these pages were charged and their VMAs are gone is
        // what `of_removed_vma` is called for.
        unsafe { raw::dup_mmap_unacct_memory(self.pages) };
        self.pages
    }
}
