// SPDX-License-Identifier: GPL-2.0

//! C that the `kernel` crate does not bind: the generated declarations and thin safe types over
//! them.

pub(crate) mod debugfs;
mod fault_attr;
mod point;
mod task;

pub(crate) use fault_attr::FaultAttr;
pub(crate) use point::{
    PerPoint,
    Point, //
};
pub(crate) use task::{
    cond_resched,
    Comm, //
};

/// What bindgen made of `rust/bindings/bindings.h`.
///
/// Types that are not generated here are those of [`kernel::bindings`], so pointers can be passed
/// between the two without casts.
#[allow(
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]
pub(crate) mod raw {
    use kernel::bindings::*;
    use kernel::ffi;

    include!(env!("DUP_MMAP_BINDINGS"));
}
