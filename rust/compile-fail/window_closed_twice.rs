// SPDX-License-Identifier: GPL-2.0
//
// A task's own fail-nth is put back once.
//
// error[E0382]: use of moved value: `window`

use crate::alloc_window::AllocWindow;

fn case(window: AllocWindow) -> bool {
    window.close();
    window.close().failed
}
