// SPDX-License-Identifier: GPL-2.0
//
// Accounted pages must be given back.
//
// error: unused `Charge` that must be used

#![deny(unused_must_use)]

use crate::mm::Charge;

fn case(one: Charge, other: Charge) {
    one.and(other);
}
