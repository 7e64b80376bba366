// SPDX-License-Identifier: GPL-2.0
//
// Nobody keeps the child past the callback, when its locks are dropped.
//
// error: lifetime may not live long enough

use crate::mm::{
    Building,
    ChildMm, //
};

struct Kept(Option<ChildMm<'static, Building>>);

fn case(kept: &mut Kept, child: ChildMm<'_, Building>) {
    kept.0 = Some(child);
}
