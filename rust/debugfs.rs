// SPDX-License-Identifier: GPL-2.0

//! The files in `/sys/kernel/debug/dup_mmap_recovery/`.
//!
//! Their content is an ABI: `Documentation/ABI/testing/debugfs-dup_mmap_recovery`.

#![forbid(unsafe_code)]

use crate::{
    log::{
        Log,
        Records, //
    },
    missing::debugfs::{
        File,
        RootDir, //
    },
    settings::Setting,
    state::State,
    stats::{
        Points,
        Stats, //
    },
    step::Steps,
    value::Value, //
};
use kernel::{
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::{
        Arc,
        Mutex, //
    }, //
};

/// Creates them all.
///
/// # Errors
///
/// `EEXIST` if the directory exists already, or what creating it fails with.
pub(crate) fn create(state: Arc<State>) -> Result<RootDir<State>> {
    RootDir::new(c"dup_mmap_recovery", state, |dir| {
        dir.read_write(c"recovery", |state| &state.settings.recovery);
        dir.read_only(c"points", |state| &state.stats.points);
        dir.read_only(c"last", |state| &state.records);
        dir.read_only(c"log", |state| &state.records.log);
        dir.read_only(c"steps", |state| &state.steps);
        dir.read_only(c"stats", |state| &state.stats);
        dir.write_only(c"reset", |state| state);

        let dir = dir.fault_attr(c"fail_dup_mmap", |state| &state.fault)?;
        dir.read_write(c"point", |state| &state.settings.point);
        dir.read_write(c"vma-index", |state| &state.settings.vma_index);
        dir.read_write(c"vma-addr", |state| &state.settings.vma_addr);
        dir.read_write(c"errno", |state| &state.settings.errno);
        dir.read_write(c"alloc-nth", |state| &state.settings.alloc_nth);
        dir.read_write(c"recovery-alloc-nth", |state| {
            &state.settings.recovery_alloc_nth
        });
        dir.read_write(c"dry-run", |state| &state.settings.dry_run);
        Ok(())
    })
}

impl<V: Value + Send + Sync> File for Setting<V> {
    fn show(&self, seq: &SeqFile) -> Result {
        seq_print!(seq, "{self}\n");
        Ok(())
    }

    fn store(&self, text: &[u8]) -> Result {
        self.set(V::parse(text)?);
        Ok(())
    }
}

impl File for Points {
    fn show(&self, seq: &SeqFile) -> Result {
        seq_print!(seq, "{self}");
        Ok(())
    }
}

impl File for Stats {
    fn show(&self, seq: &SeqFile) -> Result {
        seq_print!(seq, "{self}");
        Ok(())
    }
}

/// The file `last`.
impl File for Records {
    fn show(&self, seq: &SeqFile) -> Result {
        match self.log.lock().last() {
            Some(record) => seq_print!(seq, "{record}"),
            None => seq_print!(seq, "none\n"),
        }
        Ok(())
    }
}

impl File for Mutex<Log> {
    fn show(&self, seq: &SeqFile) -> Result {
        seq_print!(seq, "{}", &*self.lock());
        Ok(())
    }
}

impl File for Mutex<Steps> {
    fn show(&self, seq: &SeqFile) -> Result {
        seq_print!(seq, "{}", &*self.lock());
        Ok(())
    }
}

/// The file `reset`.
impl File for State {
    fn store(&self, _text: &[u8]) -> Result {
        self.reset();
        Ok(())
    }
}
