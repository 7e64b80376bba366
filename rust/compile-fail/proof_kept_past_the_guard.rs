// SPDX-License-Identifier: GPL-2.0
//
// What needs the lock cannot be done after it.
//
// error[E0505]: cannot move out of `guard` because it is borrowed

use crate::mm::MmapWriteGuard;
use kernel::mm::Mm;

fn case(mm: &Mm) -> bool {
    let mut guard = MmapWriteGuard::lock(mm);
    let proof = guard.proof();

    drop(guard);
    proof.tlb_flush_pending()
}
