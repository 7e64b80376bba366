// SPDX-License-Identifier: GPL-2.0

//! The files in `/sys/kernel/debug/dup_mmap_recovery/`.
//!
//! Their content is an ABI: `Documentation/ABI/testing/debugfs-dup_mmap_recovery`.

#![forbid(unsafe_code)]

use crate::{
    hold::Holds,
    log::{
        Log,
        Records, //
    },
    missing::{
        debugfs::{
            File,
            RootDir, //
        },
        Ticking, //
    },
    settings::Setting,
    state::State,
    stats::{
        Points,
        Stats, //
    },
    step::Steps,
    value::{
        parse_pid,
        Value, //
    }, //
};
use kernel::{
    pr_warn_once,
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
        dir.file(c"recovery", |state| &state.settings.recovery);
        dir.file(c"points", |state| &state.stats.points);
        dir.file(c"last", |state| &state.records);
        dir.file(c"log", |state| &state.records.log);
        dir.file(c"steps", |state| &state.steps);
        dir.file(c"stats", |state| &state.stats);
        dir.file(c"reset", |state| state);

        let hold = dir.dir(c"hold")?;
        hold.file(c"at", |state| &state.settings.hold_at);
        hold.file(c"timeout-ms", |state| &state.settings.hold_timeout);
        hold.file(c"held", |state| &state.hold_files.held);
        hold.file(c"release", |state| &state.hold_files.release);
        hold.file(c"observe", |state| &state.hold_files.observe);

        let dir = dir.fault_attr(c"fail_dup_mmap", |state| &state.fault)?;
        dir.file(c"point", |state| &state.settings.point);
        dir.file(c"vma-index", |state| &state.settings.vma_index);
        dir.file(c"vma-addr", |state| &state.settings.vma_addr);
        dir.file(c"errno", |state| &state.settings.errno);
        dir.file(c"alloc-nth", |state| &state.settings.alloc_nth);
        dir.file(c"recovery-alloc-nth", |state| {
            &state.settings.recovery_alloc_nth
        });
        dir.file(c"per-fork", |state| &state.settings.per_fork);
        dir.file(c"seed", |state| &state.settings.seed);
        dir.file(c"dry-run", |state| &state.settings.dry_run);
        Ok(())
    })
}

#[vtable]
impl<V: Value + Send + Sync> File for Setting<V> {
    fn show(&self, seq: &SeqFile) -> Result {
        seq_print!(seq, "{self}\n");
        Ok(())
    }

    fn store(&self, text: &[u8]) -> Result {
        let value = V::parse(text)?;

        if let Some(warning) = value.warning() {
            pr_warn_once!("{warning}\n");
        }
        self.set(value);
        Ok(())
    }
}

#[vtable]
impl File for Points {
    fn show(&self, seq: &SeqFile) -> Result {
        seq_print!(seq, "{self}");
        Ok(())
    }
}

#[vtable]
impl File for Stats {
    fn show(&self, seq: &SeqFile) -> Result {
        seq_print!(seq, "{self}");
        Ok(())
    }
}

/// The file `last`.
#[vtable]
impl File for Records {
    fn show(&self, seq: &SeqFile) -> Result {
        match self.log.lock().last() {
            Some(record) => seq_print!(seq, "{record}"),
            None => seq_print!(seq, "none\n"),
        }
        Ok(())
    }
}

#[vtable]
impl File for Mutex<Log> {
    fn show(&self, seq: &SeqFile) -> Result {
        seq_print!(seq, "{}", &*self.lock());
        Ok(())
    }
}

#[vtable]
impl File for Mutex<Steps> {
    fn show(&self, seq: &SeqFile) -> Result {
        seq_print!(seq, "{}", &*self.lock());
        Ok(())
    }
}

/// The file `reset`.
#[vtable]
impl File for State {
    fn store(&self, _text: &[u8]) -> Result {
        self.reset();
        Ok(())
    }
}

/// The files of `hold/` that are no settings.
pub(crate) struct HoldFiles {
    held: HeldFile,
    release: ReleaseFile,
    observe: ObserveFile,
}

impl HoldFiles {
    /// Those of `holds`.
    pub(crate) fn new(holds: &Arc<Ticking<Holds>>) -> Self {
        Self {
            held: HeldFile(holds.clone()),
            release: ReleaseFile(holds.clone()),
            observe: ObserveFile(holds.clone()),
        }
    }
}

struct HeldFile(Arc<Ticking<Holds>>);
struct ReleaseFile(Arc<Ticking<Holds>>);
struct ObserveFile(Arc<Ticking<Holds>>);

#[vtable]
impl File for HeldFile {
    fn show(&self, seq: &SeqFile) -> Result {
        seq_print!(seq, "{}", **self.0);
        Ok(())
    }
}

#[vtable]
impl File for ReleaseFile {
    fn store(&self, text: &[u8]) -> Result {
        self.0.release(parse_pid(text)?)
    }
}

#[vtable]
impl File for ObserveFile {
    fn show(&self, seq: &SeqFile) -> Result {
        for sight in self.0.sights().iter().flatten() {
            seq_print!(seq, "{sight}\n");
        }
        Ok(())
    }
}
