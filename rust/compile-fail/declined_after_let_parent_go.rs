// SPDX-License-Identifier: GPL-2.0
//
// The kernel's own recovery needs the parent's lock.
//
// error[E0308]: mismatched types

use crate::{
    hook::Recovered,
    mm::{
        Building,
        ChildMm, //
    }, //
};

fn case<'a>(child: ChildMm<'a, Building<'a>>) -> Recovered<'a> {
    let (child, _) = child.let_parent_go();

    Recovered::Declined(child)
}
