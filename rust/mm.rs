// SPDX-License-Identifier: GPL-2.0

//! An mm under construction, as far as its recovery needs it: safe types over `mm_struct`, its
//! VMAs and its maple tree.
//!
//! Lock order, as in `dup_mmap()`: the parent's mmap lock, then the child's (nested). Both are
//! write-held by the forking task wherever these types exist.
//!
//! C headers: [`include/linux/mm_types.h`](srctree/include/linux/mm_types.h),
//! [`mm/vma.h`](srctree/mm/vma.h)

mod charge;
mod child;
mod unmap;

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
pub(crate) use unmap::{
    PgtableCeiling,
    TreeEnd,
    VmaEnd, //
};
