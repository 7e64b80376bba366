// SPDX-License-Identifier: GPL-2.0
//
// And once only.
//
// error[E0382]: use of moved value: `charge`

use crate::mm::Charge;

fn case(charge: Charge) -> usize {
    charge.give_back();
    charge.give_back()
}
