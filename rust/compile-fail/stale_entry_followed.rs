// SPDX-License-Identifier: GPL-2.0
//
// What an entry of a half-built tree refers to may be freed: it has a range and no more.
//
// error[E0599]: no method named `file` found for struct `Unread` in the current scope

use crate::mm::view::MmView;
use kernel::mm::MmWithUser;

fn case(mm: &MmWithUser) -> bool {
    let view = MmView::lock(mm);
    let entry = view.unread_entries().next();

    entry.is_some_and(|entry| entry.file().is_some())
}
