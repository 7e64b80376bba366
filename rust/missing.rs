// SPDX-License-Identifier: GPL-2.0

//! Safe wrappers of C that the `kernel` crate lacks and that have nothing to do with mm.

mod completion;
pub(crate) mod debugfs;
mod fault_attr;
mod random;
mod task;
mod ticking;
pub(crate) mod trace;

pub(crate) use completion::{
    Gate,
    Woken, //
};
pub(crate) use fault_attr::FaultAttr;
pub(crate) use random::random_u32;
pub(crate) use task::{
    cond_resched,
    fail_nth,
    has_exited,
    set_fail_nth,
    Comm, //
};
pub(crate) use ticking::{
    Tick,
    Ticking, //
};
