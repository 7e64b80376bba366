// SPDX-License-Identifier: GPL-2.0

//! Up to where page tables may be freed.
//!
//! Where the copied VMAs end and where page tables may be freed are often the same number and never
//! the same thing. Using the failing VMA's start as ceiling leaks page tables, because
//! `free_pgd_range()` rounds a ceiling down to a table. So there is no way from an end to a ceiling.
//!
//! C: `free_pgd_range()` in [`mm/memory.c`](srctree/mm/memory.c)

use super::view::Vma;
use crate::bindings::raw;

/// Up to where page tables may be freed: an address, exclusive; 0 is the end of the address space.
#[derive(Clone, Copy)]
pub(crate) struct PgtableCeiling(usize);

impl PgtableCeiling {
    /// All page tables of user space, `USER_PGTABLES_CEILING`.
    pub(crate) fn user() -> Self {
        // SAFETY: Returns a constant.
        Self(unsafe { raw::helper_user_pgtables_ceiling() })
    }

    /// None that `vma`, which still has its pages, may use.
    pub(crate) fn below(vma: Vma<'_>) -> Self {
        Self(vma.start())
    }

    /// As C takes it.
    pub(super) fn as_raw(self) -> usize {
        self.0
    }
}

/// From where page tables may be freed, `FIRST_USER_ADDRESS`.
pub(super) fn pgtable_floor() -> usize {
    // SAFETY: Returns a constant.
    unsafe { raw::helper_first_user_address() }
}
