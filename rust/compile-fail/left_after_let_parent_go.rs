// SPDX-License-Identifier: GPL-2.0
//
// The mark takes the place of a VMA of the parent, whose lock says where that is.
//
// error[E0599]: no method named `leave` found for struct `ChildMm<'_, Alone>` in the current scope

use crate::{
    hook::Recovered,
    mm::{
        Building,
        ChildMm, //
    }, //
};

fn case<'a>(child: ChildMm<'a, Building<'a>>) -> Recovered<'a> {
    let (child, _) = child.let_parent_go();

    Recovered::Left(child.leave(true))
}
