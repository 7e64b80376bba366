// SPDX-License-Identifier: GPL-2.0
//
// Two locks are taken in their order, or lockdep does not know them apart.
//
// error[E0451]: field `parent` of struct `WriteLockedPair` is private

use crate::mm::{
    MmapWriteGuard,
    WriteLockedPair, //
};
use kernel::mm::Mm;

fn case(parent: &Mm, child: &Mm) {
    let mut child = MmapWriteGuard::lock(child);
    let mut parent = MmapWriteGuard::lock(parent);

    let _ = WriteLockedPair {
        parent: parent.proof(),
        child: child.proof(),
    };
}
