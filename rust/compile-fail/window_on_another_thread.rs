// SPDX-License-Identifier: GPL-2.0
//
// The task whose fail-nth was changed puts it back.
//
// error[E0277]: `*mut ()` cannot be sent between threads safely

use crate::alloc_window::AllocWindow;

fn send<T: Send>(_: T) {}

fn case(window: AllocWindow) {
    send(window);
}
