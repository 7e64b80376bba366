// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of what needs no fork: parsing, matching, ranges, formatting.
//!
//! They run when the module is loaded, with `kunit.enable=1`, and leave their results in
//! `/sys/kernel/debug/kunit/`. The macros write unsafe code of their own, so this is a file that
//! does not forbid it; there is none in it.

mod examples;
mod hold;
mod inject;
mod lock;
mod range;
mod record;
mod tree;
