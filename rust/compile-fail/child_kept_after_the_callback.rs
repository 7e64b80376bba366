// SPDX-License-Identifier: GPL-2.0
//
// Nobody keeps the child past the callback, when its lock is dropped.
//
// error: lifetime may not live long enough

use crate::mm::{
    Building,
    ChildMm, //
};

struct Kept(Option<ChildMm<'static, Building<'static>>>);

fn case<'a>(kept: &mut Kept, child: ChildMm<'a, Building<'a>>) {
    kept.0 = Some(child);
}
