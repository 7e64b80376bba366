// SPDX-License-Identifier: GPL-2.0

//! Random numbers.
//!
//! C header: [`include/linux/random.h`](srctree/include/linux/random.h)

use kernel::bindings;

/// Any number, `get_random_u32()`.
pub(crate) fn random_u32() -> u32 {
    // SAFETY: It takes nothing, and may be called in any context.
    unsafe { bindings::get_random_u32() }
}
