// SPDX-License-Identifier: GPL-2.0

//! What an mm counts: its users, its VMAs.
//!
//! C: `mm_users` and `map_count` in [`include/linux/mm_types.h`](srctree/include/linux/mm_types.h)

use crate::bindings::raw;
use kernel::{
    ffi::c_int,
    mm::Mm, //
};

/// How many users it has, at this moment: `mm_users`.
pub(crate) fn nr_users(mm: &Mm) -> c_int {
    // SAFETY: A reference to an mm is valid; this reads an atomic word of it.
    unsafe { raw::helper_mm_users(mm.as_raw()) }
}

/// How many VMAs it has, `map_count`. Without its mmap lock, at this moment.
pub(crate) fn nr_vmas(mm: &Mm) -> u32 {
    // SAFETY: A reference to an mm is valid; this reads a word of it.
    let nr = unsafe { raw::helper_mm_map_count(mm.as_raw()) };

    // It is never negative.
    nr.unsigned_abs()
}
