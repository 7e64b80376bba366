// SPDX-License-Identifier: GPL-2.0
//
// Where a walk ends is settled when it begins.
//
// error[E0616]: field `end` of struct `Entries` is private

use crate::mm::view::Entries;

fn case(entries: &mut Entries<'_>) {
    entries.end = usize::MAX;
}
