// SPDX-License-Identifier: GPL-2.0
//
// The guard of both locks takes the place of the parent's.
//
// error[E0382]: use of moved value: `parent`

use crate::mm::MmapWriteGuard;
use kernel::mm::Mm;

fn case(parent: &Mm, child: &Mm) {
    let parent = MmapWriteGuard::lock(parent);
    // SAFETY: There is none.
    let _pair = unsafe { parent.lock_child(child) };

    drop(parent);
}
