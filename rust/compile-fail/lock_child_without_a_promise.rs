// SPDX-License-Identifier: GPL-2.0
//
// Lockdep cannot tell in which order two mmap locks are to be taken, so the caller promises it.
//
// error[E0133]: call to unsafe function `MmapWriteGuard::<'a>::lock_child` is unsafe and requires unsafe block

use crate::mm::MmapWriteGuard;
use kernel::mm::Mm;

fn case(parent: &Mm, child: &Mm) {
    let _ = MmapWriteGuard::lock(parent).lock_child(child);
}
