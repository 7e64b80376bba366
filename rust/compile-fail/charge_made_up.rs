// SPDX-License-Identifier: GPL-2.0
//
// Only the removal of a VMA makes a charge.
//
// error[E0451]: field `pages` of struct `Charge` is private

use crate::mm::Charge;

fn case() -> usize {
    Charge { pages: 1 }.give_back()
}
