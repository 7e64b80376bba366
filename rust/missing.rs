// SPDX-License-Identifier: GPL-2.0

//! Safe wrappers of C that the `kernel` crate lacks and that have nothing to do with mm.

pub(crate) mod debugfs;
mod fault_attr;
mod task;
pub(crate) mod trace;

pub(crate) use fault_attr::FaultAttr;
pub(crate) use task::{
    cond_resched,
    fail_nth,
    set_fail_nth,
    Comm, //
};
