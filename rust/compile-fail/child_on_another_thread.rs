// SPDX-License-Identifier: GPL-2.0
//
// The locks belong to the forking task.
//
// error[E0277]: `NonNull<kernel::bindings::ma_state>` cannot be sent between threads safely

use crate::mm::{
    Building,
    ChildMm, //
};

fn send<T: Send>(_: T) {}

fn case(child: ChildMm<'_, Building<'_>>) {
    send(child);
}
