// SPDX-License-Identifier: GPL-2.0

//! Safe types over `mm_struct`, its VMAs, its maple tree, and over taking them apart.
//!
//! [`view`] reads the VMAs of any process. The rest is for those who hold an mmap lock for writing,
//! and most of all for the mm that `dup_mmap()` has not finished.
//!
//! Lock order, as in `dup_mmap()`: the parent's mmap lock, then the child's (nested). The forking task
//! holds the child's for writing wherever a [`ChildMm`] exists, and the parent's too while that is
//! [`Building`].
//!
//! C headers: [`include/linux/mm_types.h`](srctree/include/linux/mm_types.h),
//! [`mm/vma.h`](srctree/mm/vma.h)

// The module is called with the locks held; to take them is for others, and for the tests.
#![cfg_attr(not(CONFIG_KUNIT = "y"), allow(dead_code))]

mod child;
mod counts;
mod extent;
#[cfg(CONFIG_KUNIT = "y")]
mod fixture;
mod flags;
mod gather;
mod group;
mod leftover;
mod lock;
mod pgtables;
mod report;
mod tree;
pub(crate) mod view;

pub(crate) use child::{
    Alone,
    Building,
    ChildMm,
    TornDown, //
};
pub(crate) use counts::{
    nr_users,
    nr_vmas, //
};
pub(crate) use extent::Extent;
pub(crate) use flags::MmFlags;
pub(crate) use group::NextGroup;
pub(crate) use leftover::{
    Left,
    Leftover, //
};
pub(crate) use lock::{
    ParentLock,
    WriteLocked, //
};
pub(crate) use report::Report;
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
    }, //
};
