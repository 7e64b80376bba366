// SPDX-License-Identifier: GPL-2.0
//
// One lock has one proof at a time.
//
// error[E0499]: cannot borrow `guard` as mutable more than once at a time

use crate::mm::MmapWriteGuard;
use kernel::mm::Mm;

fn case(mm: &Mm) -> bool {
    let mut guard = MmapWriteGuard::lock(mm);
    let one = guard.proof();
    let other = guard.proof();

    one.tlb_flush_pending() || other.tlb_flush_pending()
}
