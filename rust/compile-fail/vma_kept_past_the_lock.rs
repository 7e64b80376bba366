// SPDX-License-Identifier: GPL-2.0
//
// A VMA may be gone when the lock is.
//
// error[E0505]: cannot move out of `view` because it is borrowed

use crate::mm::view::MmView;
use kernel::mm::MmWithUser;

fn case(mm: &MmWithUser) -> Option<usize> {
    let view = MmView::lock(mm);
    let vma = view.vmas().next();

    drop(view);
    vma.map(|vma| vma.start())
}
