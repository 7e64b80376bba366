// SPDX-License-Identifier: GPL-2.0
//
// The task that has taken a lock drops it.
//
// error[E0277]: `*mut ()` cannot be sent between threads safely

use crate::mm::MmapWriteGuard;

fn send<T: Send>(_: T) {}

fn case(guard: MmapWriteGuard<'_>) {
    send(guard);
}
