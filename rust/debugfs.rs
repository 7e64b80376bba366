// SPDX-License-Identifier: GPL-2.0

//! The files in `/sys/kernel/debug/dup_mmap_recovery/`.
//!
//! Their content is an ABI: `Documentation/ABI/testing/debugfs-dup_mmap_recovery`.

#![forbid(unsafe_code)]

use crate::{
    bindings::debugfs::{
        File,
        RootDir, //
    },
    inject,
    record::PointTable,
    watch::{
        Recovery as Recoverer,
        State, //
    }, //
};
use core::num::{
    NonZeroU32,
    NonZeroUsize, //
};
use kernel::{
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    str::CStr,
    sync::Arc, //
};

/// Creates them all.
///
/// # Errors
///
/// `EEXIST` if the directory exists already, or what creating it fails with.
pub(crate) fn create(state: Arc<State>) -> Result<RootDir<State>> {
    RootDir::new(c"dup_mmap_recovery", state, |dir| {
        dir.read_write::<Recovery>();
        dir.read_only::<Points>();
        dir.read_only::<Last>();
        dir.read_only::<LogFile>();
        dir.read_only::<StepsFile>();
        dir.read_only::<StatsFile>();
        dir.write_only::<Reset>();

        let dir = dir.fault_attr(c"fail_dup_mmap", |state| &state.fault)?;
        dir.read_write::<Point>();
        dir.read_write::<VmaIndex>();
        dir.read_write::<VmaAddr>();
        dir.read_write::<Errno>();
        dir.read_write::<AllocNth>();
        dir.read_write::<RecoveryAllocNth>();
        dir.read_write::<DryRun>();
        Ok(())
    })
}

struct Recovery;

impl File<State> for Recovery {
    const NAME: &'static CStr = c"recovery";

    fn show(state: &State, seq: &SeqFile) -> Result {
        let active = state.settings.lock().recovery;

        for (i, recovery) in Recoverer::ALL.into_iter().enumerate() {
            if i != 0 {
                seq_print!(seq, " ");
            }
            if recovery == active {
                seq_print!(seq, "[{}]", recovery.name());
            } else {
                seq_print!(seq, "{}", recovery.name());
            }
        }
        seq_print!(seq, "\n");
        Ok(())
    }

    fn store(state: &State, text: &[u8]) -> Result {
        let recovery = Recoverer::ALL
            .into_iter()
            .find(|recovery| recovery.name().to_bytes() == text)
            .ok_or(EINVAL)?;

        state.settings.lock().recovery = recovery;
        Ok(())
    }
}

struct Point;

impl File<State> for Point {
    const NAME: &'static CStr = c"point";

    fn show(state: &State, seq: &SeqFile) -> Result {
        let point = state.settings.lock().rule.point;

        match point {
            Some(point) => seq_print!(seq, "{point}\n"),
            None => seq_print!(seq, "any\n"),
        }
        Ok(())
    }

    fn store(state: &State, text: &[u8]) -> Result {
        let point = inject::parse_point(text)?;

        state.settings.lock().rule.point = point;
        Ok(())
    }
}

struct VmaIndex;

impl File<State> for VmaIndex {
    const NAME: &'static CStr = c"vma-index";

    fn show(state: &State, seq: &SeqFile) -> Result {
        let index = state.settings.lock().rule.vma_index;

        match index {
            Some(index) => seq_print!(seq, "{index}\n"),
            None => seq_print!(seq, "-1\n"),
        }
        Ok(())
    }

    fn store(state: &State, text: &[u8]) -> Result {
        let index = inject::parse_vma_index(text)?;

        state.settings.lock().rule.vma_index = index;
        Ok(())
    }
}

struct VmaAddr;

impl File<State> for VmaAddr {
    const NAME: &'static CStr = c"vma-addr";

    fn show(state: &State, seq: &SeqFile) -> Result {
        let addr = state.settings.lock().rule.vma_addr;

        seq_print!(seq, "{:#x}\n", addr.map_or(0, NonZeroUsize::get));
        Ok(())
    }

    fn store(state: &State, text: &[u8]) -> Result {
        let addr = inject::parse_vma_addr(text)?;

        state.settings.lock().rule.vma_addr = addr;
        Ok(())
    }
}

struct AllocNth;

impl File<State> for AllocNth {
    const NAME: &'static CStr = c"alloc-nth";

    fn show(state: &State, seq: &SeqFile) -> Result {
        let nth = state.settings.lock().rule.alloc_nth;

        seq_print!(seq, "{}\n", nth.map_or(0, NonZeroU32::get));
        Ok(())
    }

    fn store(state: &State, text: &[u8]) -> Result {
        let nth = inject::parse_nth(text)?;

        state.settings.lock().rule.alloc_nth = nth;
        Ok(())
    }
}

struct RecoveryAllocNth;

impl File<State> for RecoveryAllocNth {
    const NAME: &'static CStr = c"recovery-alloc-nth";

    fn show(state: &State, seq: &SeqFile) -> Result {
        let nth = state.settings.lock().rule.recovery_alloc_nth;

        seq_print!(seq, "{}\n", nth.map_or(0, NonZeroU32::get));
        Ok(())
    }

    fn store(state: &State, text: &[u8]) -> Result {
        let nth = inject::parse_nth(text)?;

        state.settings.lock().rule.recovery_alloc_nth = nth;
        Ok(())
    }
}

struct DryRun;

impl File<State> for DryRun {
    const NAME: &'static CStr = c"dry-run";

    fn show(state: &State, seq: &SeqFile) -> Result {
        let dry_run = state.settings.lock().dry_run;

        seq_print!(seq, "{}\n", if dry_run { 'Y' } else { 'N' });
        Ok(())
    }

    fn store(state: &State, text: &[u8]) -> Result {
        let dry_run = inject::parse_bool(text)?;

        state.settings.lock().dry_run = dry_run;
        Ok(())
    }
}

struct Errno;

impl File<State> for Errno {
    const NAME: &'static CStr = c"errno";

    fn show(state: &State, seq: &SeqFile) -> Result {
        let errno = state.settings.lock().rule.errno;

        seq_print!(seq, "{}\n", errno.map_or(0, inject::Errno::get));
        Ok(())
    }

    fn store(state: &State, text: &[u8]) -> Result {
        let errno = inject::parse_errno(text)?;

        state.settings.lock().rule.errno = errno;
        Ok(())
    }
}

struct Points;

impl File<State> for Points {
    const NAME: &'static CStr = c"points";

    fn show(state: &State, seq: &SeqFile) -> Result {
        seq_print!(seq, "{}", PointTable(&state.stats));
        Ok(())
    }
}

struct Last;

impl File<State> for Last {
    const NAME: &'static CStr = c"last";

    fn show(state: &State, seq: &SeqFile) -> Result {
        match state.log.lock().last() {
            Some(record) => seq_print!(seq, "{record}"),
            None => seq_print!(seq, "none\n"),
        }
        Ok(())
    }
}

struct LogFile;

impl File<State> for LogFile {
    const NAME: &'static CStr = c"log";

    fn show(state: &State, seq: &SeqFile) -> Result {
        seq_print!(seq, "{}", &*state.log.lock());
        Ok(())
    }
}

struct StepsFile;

impl File<State> for StepsFile {
    const NAME: &'static CStr = c"steps";

    fn show(state: &State, seq: &SeqFile) -> Result {
        seq_print!(seq, "{}", &*state.steps.lock());
        Ok(())
    }
}

struct StatsFile;

impl File<State> for StatsFile {
    const NAME: &'static CStr = c"stats";

    fn show(state: &State, seq: &SeqFile) -> Result {
        seq_print!(seq, "{}", state.stats);
        Ok(())
    }
}

struct Reset;

impl File<State> for Reset {
    const NAME: &'static CStr = c"reset";

    fn store(state: &State, _text: &[u8]) -> Result {
        state.reset();
        Ok(())
    }
}
