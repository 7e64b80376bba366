// SPDX-License-Identifier: GPL-2.0
//
// What was left is taken apart once.
//
// error[E0382]: use of moved value: `leftover`

use crate::{
    mm::Leftover,
    recovery::take_apart, //
};
use kernel::mm::MmWithUser;

fn case(leftover: Leftover<&MmWithUser>) {
    let _ = leftover.take_apart(take_apart);
    let _ = leftover.take_apart(take_apart);
}
