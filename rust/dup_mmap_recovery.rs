// SPDX-License-Identifier: GPL-2.0

//! Recovery of a failed `dup_mmap()` in Rust, and a debugfs trigger that makes it fail.

mod bindings;
mod debugfs;
mod hook;
mod inject;
mod kunit;
mod mm;
mod record;
mod recovery;
mod watch;

use kernel::{
    prelude::*,
    sync::Arc, //
};

module! {
    type: DupMmapRecovery,
    name: "dup_mmap_recovery",
    authors: ["The dup_mmap_recovery developers"],
    description: "Recovery of a failed dup_mmap() in Rust, with failures to order",
    license: "GPL",
    // For mm_alloc(), which is exported to tests only.
    imports_ns: ["EXPORTED_FOR_KUNIT_TESTING"],
}

/// The loaded module. Dropped from top to bottom: no file may arm anything once forks are not
/// watched any more.
struct DupMmapRecovery {
    _files: bindings::debugfs::RootDir<watch::State>,
    _hook: hook::Registration<watch::State>,
}

impl kernel::Module for DupMmapRecovery {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let state = Arc::pin_init(watch::State::new()?, GFP_KERNEL)?;

        Ok(Self {
            _files: debugfs::create(state.clone())?,
            _hook: hook::Registration::new(state)?,
        })
    }
}
