// SPDX-License-Identifier: GPL-2.0
//
// A recovery cannot run twice.
//
// error[E0382]: use of moved value: `child`

use crate::{
    mm::{
        Building,
        ChildMm, //
    },
    recovery::recover, //
};

fn case<'a>(child: ChildMm<'a, Building<'a>>) {
    recover(child, || ());
    recover(child, || ());
}
