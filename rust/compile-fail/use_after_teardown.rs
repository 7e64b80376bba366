// SPDX-License-Identifier: GPL-2.0
//
// What has been torn down is out of reach.
//
// error[E0382]: borrow of moved value: `child`

use crate::{
    mm::{
        Building,
        ChildMm, //
    },
    recovery::recover, //
};

fn case<'a>(child: ChildMm<'a, Building<'a>>) -> usize {
    recover(child, || ());
    child.nr_copied()
}
