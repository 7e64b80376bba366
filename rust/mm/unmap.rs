// SPDX-License-Identifier: GPL-2.0

//! The three limits of unmapping a range.
//!
//! They are often the same number and never the same thing. Using the failing VMA's start as page
//! table ceiling leaks page tables, because `free_pgd_range()` rounds a ceiling down to a table;
//! walking the tree to the ceiling takes the parent's VMAs apart.
//!
//! C: `struct unmap_desc` in [`mm/vma.h`](srctree/mm/vma.h)

use super::view::Vma;
use crate::bindings::raw;
use core::marker::PhantomData;
use kernel::bindings;

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
fn pgtable_floor() -> usize {
    // SAFETY: Returns a constant.
    unsafe { raw::helper_first_user_address() }
}

/// What is to be unmapped: from the first VMA to the three limits.
#[derive(Clone, Copy)]
pub(crate) struct UnmapRange {
    tree_end: TreeEnd,
    vma_end: VmaEnd,
    ceiling: PgtableCeiling,
}

impl UnmapRange {
    /// A range with these limits. For a child: that of its tree, that of its VMAs, and
    /// [`PgtableCeiling::user`].
    ///
    /// No VMA lies above the page tables, so neither does the end of the VMAs: `free_pgtables()`
    /// warns if it does, and the end of a child whose VMAs were all copied is no address of one.
    pub(crate) fn new(tree_end: TreeEnd, vma_end: VmaEnd, ceiling: PgtableCeiling) -> Self {
        let last = vma_end.0.wrapping_sub(1).min(ceiling.0.wrapping_sub(1));

        Self {
            tree_end,
            vma_end: VmaEnd(last.wrapping_add(1)),
            ceiling,
        }
    }
}

/// The range as C takes it, beginning at a VMA.
///
/// # Invariants
///
/// `desc` has a valid state of the tree, which stands behind the VMA it begins with, for `'a`.
pub(super) struct RawRange<'a> {
    desc: raw::unmap_desc,
    _borrowed: PhantomData<&'a mut bindings::ma_state>,
}

impl<'a> RawRange<'a> {
    /// From `first`, where `mas` has found it, to the limits.
    ///
    /// `mm_wr_locked` is what the types here are about: the lock is held for writing.
    pub(super) fn new(first: Vma<'a>, mas: &'a mut bindings::ma_state, range: UnmapRange) -> Self {
        // INVARIANT: Both are borrowed for `'a`.
        Self {
            desc: raw::unmap_desc {
                mas,
                first: first.as_ptr().as_ptr(),
                pg_start: pgtable_floor(),
                pg_end: range.ceiling.0,
                vma_start: 0,
                vma_end: range.vma_end.0,
                tree_end: range.tree_end.0,
                tree_reset: first.end(),
                mm_wr_locked: true,
            },
            _borrowed: PhantomData,
        }
    }

    /// The range for C, which moves the state of the tree.
    pub(super) fn as_raw(&mut self) -> *mut raw::unmap_desc {
        &mut self.desc
    }
}

#[cfg(CONFIG_KUNIT = "y")]
impl UnmapRange {
    /// A range from bare numbers, which only a test has.
    pub(crate) fn for_test(tree_end: usize, vma_end: usize, ceiling: usize) -> Self {
        Self::new(
            TreeEnd(tree_end),
            VmaEnd(vma_end),
            PgtableCeiling(ceiling), //
        )
    }

    /// The numbers, in the same order.
    pub(crate) fn limits(self) -> (usize, usize, usize) {
        (self.tree_end.0, self.vma_end.0, self.ceiling.0)
    }
}
