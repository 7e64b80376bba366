// SPDX-License-Identifier: GPL-2.0

//! Who uses an mm.
//!
//! C: `mm_users` in [`include/linux/mm_types.h`](srctree/include/linux/mm_types.h)

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
