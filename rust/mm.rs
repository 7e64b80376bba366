// SPDX-License-Identifier: GPL-2.0

//! Safe types over `mm_struct`, its VMAs, its maple tree, and over taking them apart.
//!
//! [`view`] reads the VMAs of any process. The rest is for those who hold an mmap lock for writing,
//! and most of all for the mm that `dup_mmap()` has not finished.
//!
//! Lock order, as in `dup_mmap()`: the parent's mmap lock, then the child's (nested). Both are
//! write-held by the forking task wherever a [`ChildMm`] exists.
//!
//! C headers: [`include/linux/mm_types.h`](srctree/include/linux/mm_types.h),
//! [`mm/vma.h`](srctree/mm/vma.h)

// The module is called with the locks held; to take them is for others, and for the tests.
#![cfg_attr(not(CONFIG_KUNIT = "y"), allow(dead_code))]

mod charge;
mod child;
#[cfg(CONFIG_KUNIT = "y")]
mod fixture;
mod flags;
mod gather;
mod lock;
mod tree;
pub(crate) mod unmap;
pub(crate) mod view;

pub(crate) use charge::Charge;
pub(crate) use child::{
    Building,
    ChildMm,
    Classified,
    Copies,
    Extent,
    NextCopy,
    NoCopies,
    TornDown, //
};
pub(crate) use flags::MmFlags;
pub(crate) use gather::Flush;
pub(crate) use lock::WriteLockedPair;
pub(crate) use unmap::PgtableCeiling;
pub(crate) use view::Vma;
#[cfg(CONFIG_KUNIT = "y")]
pub(crate) use {
    fixture::TestMm,
    gather::MmuGather,
    lock::MmapWriteGuard,
    tree::{
        Empty,
        InRcu,
        VmaTree, //
    },
    unmap::UnmapRange, //
};
