// SPDX-License-Identifier: GPL-2.0

//! Recovery of a failed `dup_mmap()` in Rust, and a debugfs trigger that makes it fail.

// C, and safe types over it.
mod bindings;
mod hook;
mod missing;
mod mm;

// What root asks for, and where to fail.
mod debugfs;
mod draw;
mod rule;
mod settings;
mod value;

// One call of dup_mmap(), from its first step to its record.
mod alloc_window;
mod call;
mod hold;
mod observe;
mod recoverer;
mod recovery;
mod state;
mod step;

// What is kept of it.
mod log;
mod record;
mod stats;

mod kunit;

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
/// watched any more, and no fork may be held when that waits for it.
struct DupMmapRecovery {
    _files: missing::debugfs::RootDir<state::State>,
    _holds: hold::Closing,
    _hook: hook::Registration<state::State>,
}

impl kernel::Module for DupMmapRecovery {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let state = Arc::pin_init(state::State::new()?, GFP_KERNEL)?;

        Ok(Self {
            _files: debugfs::create(state.clone())?,
            _holds: hold::Closing(state.holds.clone()),
            _hook: hook::Registration::new(state)?,
        })
    }
}
