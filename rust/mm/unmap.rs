// SPDX-License-Identifier: GPL-2.0

//! The three limits of unmapping a range.
//!
//! They are often the same number and never the same thing. Using the failing VMA's start as page
//! table ceiling leaks page tables, because `free_pgd_range()` rounds a ceiling down to a table;
//! walking the tree to the ceiling takes the parent's VMAs apart.
//!
//! C: `struct unmap_desc` in [`mm/vma.h`](srctree/mm/vma.h)

use crate::bindings::raw;

/// Where the walk of the maple tree stops: an address, exclusive.
#[derive(Clone, Copy)]
pub(crate) struct TreeEnd(pub(super) usize);

/// Where the range of VMAs that are unmapped ends: an address, exclusive.
#[derive(Clone, Copy)]
pub(crate) struct VmaEnd(pub(super) usize);

/// Up to where page tables may be freed: an address, exclusive; 0 is the end of the address space.
#[derive(Clone, Copy)]
pub(crate) struct PgtableCeiling(pub(super) usize);

impl PgtableCeiling {
    /// All page tables of user space, `USER_PGTABLES_CEILING`.
    pub(crate) fn user() -> Self {
        // SAFETY: Returns a constant.
        Self(unsafe { raw::helper_user_pgtables_ceiling() })
    }
}

/// From where page tables may be freed, `FIRST_USER_ADDRESS`.
pub(super) fn pgtable_floor() -> usize {
    // SAFETY: Returns a constant.
    unsafe { raw::helper_first_user_address() }
}
