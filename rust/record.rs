// SPDX-License-Identifier: GPL-2.0

//! What is known of a call that failed.

#![forbid(unsafe_code)]

use crate::{
    hook::RanBy,
    missing::Comm,
    mm::{
        Extent,
        MmFlags,
        Report, //
    },
    step::{
        Step,
        VmaId, //
    }, //
};
use kernel::{
    ffi::c_int,
    fmt,
    prelude::*,
    task::Pid, //
};

/// One failed call. Prints as `key: value` lines, those of the file `last`.
pub(crate) struct Record {
    /// The forking task, as the initial namespace numbers it.
    pub(crate) pid: Pid,
    /// Its name.
    pub(crate) comm: Comm,
    /// The step that failed.
    pub(crate) step: Step,
    /// What `dup_mmap()` returned.
    pub(crate) errno: c_int,
    /// Whether this module made it fail.
    pub(crate) injected: bool,
    /// What the step was drawn with, or 0.
    pub(crate) seed: u32,
    /// Which allocation of the step was to fail, or 0.
    pub(crate) alloc_nth: u32,
    /// Which allocation of the recovery was to fail, or 0.
    pub(crate) recovery_alloc_nth: u32,
    /// Whether the recovery made as many.
    pub(crate) recovery_alloc_failed: bool,
    /// How it was recovered; `None` if `dup_mmap()` returned before there was anything to recover.
    pub(crate) recovered: Option<Recovered>,
    /// The flags of the child's mm when the call was over.
    pub(crate) flags: MmFlags,
}

/// The part of a [`Record`] that only a half-built mm leaves.
pub(crate) struct Recovered {
    /// Whose recovery it was.
    pub(crate) ran_by: RanBy,
    /// VMAs in the child's tree that were its own when the call failed.
    pub(crate) nr_copied: usize,
    /// What was undone.
    pub(crate) report: Report,
    /// Nanoseconds from the failure until the locks were dropped.
    pub(crate) nanos: i64,
    /// Nanoseconds from the failure until the parent's mmap lock was dropped.
    pub(crate) parent_lock_nanos: i64,
}

impl Record {
    /// Gives each key with its value to `put`, in their order.
    pub(crate) fn each(
        &self,
        mut put: impl FnMut(&str, fmt::Arguments<'_>) -> fmt::Result,
    ) -> fmt::Result {
        put("pid", fmt!("{}", self.pid))?;
        put("comm", fmt!("{}", self.comm))?;
        put("point", fmt!("{}", self.step.point))?;
        match self.step.vma {
            Some(VmaId { index, start, end }) => {
                put("vma-index", fmt!("{index}"))?;
                put("vma", fmt!("{start:x}-{:x}", end.get()))?;
            }
            None => {
                put("vma-index", fmt!("-1"))?;
                put("vma", fmt!("-"))?;
            }
        }
        put("errno", fmt!("{}", self.errno))?;
        put("injected", fmt!("{}", yes_no(self.injected)))?;
        put("seed", fmt!("{}", self.seed))?;
        put("alloc-nth", fmt!("{}", self.alloc_nth))?;
        put("recovery-alloc-nth", fmt!("{}", self.recovery_alloc_nth))?;
        put(
            "recovery-alloc-failed",
            fmt!("{}", yes_no(self.recovery_alloc_failed)),
        )?;

        let Some(recovered) = &self.recovered else {
            for key in ["recovery", "class", "end"] {
                put(key, fmt!("-"))?;
            }
            for key in ["vmas-copied", "vmas-torn-down", "pages-uncharged"] {
                put(key, fmt!("0"))?;
            }
            put("mm-flags", fmt!("{}", self.flags))?;
            put("ns", fmt!("0"))?;
            return put("parent-lock-ns", fmt!("0"));
        };
        let report = &recovered.report;

        put("recovery", fmt!("{}", recovered.ran_by.name()))?;
        put(
            "class",
            match report.extent {
                Extent::Nothing => fmt!("none"),
                Extent::Below(_) => fmt!("partial"),
                Extent::Everything => fmt!("all"),
            },
        )?;
        put("end", fmt!("{:#x}", report.extent.end()))?;
        put("vmas-copied", fmt!("{}", recovered.nr_copied))?;
        put("vmas-torn-down", fmt!("{}", report.nr_vmas))?;
        put("pages-uncharged", fmt!("{}", report.nr_accounted))?;
        put("mm-flags", fmt!("{}", self.flags))?;
        put("ns", fmt!("{}", recovered.nanos))?;
        put("parent-lock-ns", fmt!("{}", recovered.parent_lock_nanos))
    }
}

fn yes_no(yes: bool) -> char {
    if yes {
        'y'
    } else {
        'n'
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.each(|key, value| f.write_fmt(fmt!("{key}: {value}\n")))
    }
}
