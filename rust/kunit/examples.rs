// SPDX-License-Identifier: GPL-2.0

//! The examples of the documentation, which `examples.awk` takes from there.

use kernel::prelude::*;

include!(env!("DUP_MMAP_EXAMPLES"));
