// SPDX-License-Identifier: GPL-2.0
//
// A lock that is dropped at once protects nothing.
//
// error: unused `MmapWriteGuard` that must be used

#![deny(unused_must_use)]

use crate::mm::MmapWriteGuard;
use kernel::mm::Mm;

fn case(mm: &Mm) {
    MmapWriteGuard::lock(mm);
}
