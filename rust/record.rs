// SPDX-License-Identifier: GPL-2.0

//! What happened, for people and scripts: the last failed forks, the steps of one, and counters.

#![forbid(unsafe_code)]

use crate::{
    bindings::{
        Comm,
        PerPoint,
        Point, //
    },
    hook::RanBy,
    mm::{
        Extent,
        MmFlags, //
    },
    recovery::Report, //
};
use core::num::NonZeroUsize;
use kernel::{
    ffi::c_int,
    fmt,
    prelude::*,
    str::CStr,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    task::Pid, //
};

impl RanBy {
    /// As `last` and the tracepoint have it.
    pub(crate) fn name(self) -> &'static CStr {
        match (self.module, self.kernel) {
            (true, false) => c"rust",
            (false, true) => c"upstream",
            (false, false) => c"none",
            (true, true) => c"both",
        }
    }
}

/// One failed fork. Prints as `key: value` lines, those of the file `last`.
pub(crate) struct Record {
    /// The forking task, as the initial namespace numbers it.
    pub(crate) pid: Pid,
    /// Its name.
    pub(crate) comm: Comm,
    /// The step that failed.
    pub(crate) point: Point,
    /// The VMA it failed for, if the step has one.
    pub(crate) vma: Option<VmaId>,
    /// What `dup_mmap()` returned.
    pub(crate) errno: c_int,
    /// Whether this module made it fail.
    pub(crate) injected: bool,
    /// Which allocation of the step was to fail, or 0.
    pub(crate) alloc_nth: u32,
    /// Which allocation of the recovery was to fail, or 0.
    pub(crate) recovery_alloc_nth: u32,
    /// Whether the recovery made as many.
    pub(crate) recovery_alloc_failed: bool,
    /// How it was recovered; `None` if `dup_mmap()` returned before there was anything to recover.
    pub(crate) recovered: Option<Recovered>,
    /// The flags of the child's mm when the fork was over.
    pub(crate) flags: MmFlags,
}

/// A VMA of the parent.
#[derive(Clone, Copy)]
pub(crate) struct VmaId {
    /// Its ordinal, from 0.
    pub(crate) index: u32,
    /// Its first address.
    pub(crate) start: usize,
    /// The address behind its last.
    pub(crate) end: NonZeroUsize,
}

impl VmaId {
    /// Whether `addr` is in it.
    pub(crate) fn contains(&self, addr: usize) -> bool {
        (self.start..self.end.get()).contains(&addr)
    }
}

/// The part of a [`Record`] that only a half-built mm leaves.
pub(crate) struct Recovered {
    /// Whose recovery it was.
    pub(crate) ran_by: RanBy,
    /// VMAs in the child's tree that were its own when the fork failed.
    pub(crate) nr_copied: usize,
    /// What was undone.
    pub(crate) report: Report,
    /// Nanoseconds from the failure until the locks were dropped.
    pub(crate) nanos: i64,
}

impl Record {
    /// Gives each key with its value to `put`, in their order.
    fn each(&self, mut put: impl FnMut(&str, fmt::Arguments<'_>) -> fmt::Result) -> fmt::Result {
        put("pid", fmt!("{}", self.pid))?;
        put("comm", fmt!("{}", self.comm))?;
        put("point", fmt!("{}", self.point))?;
        match self.vma {
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
            put("mm-flags", fmt!("{}", names(self.flags)))?;
            return put("ns", fmt!("0"));
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
        put("mm-flags", fmt!("{}", names(self.flags)))?;
        put("ns", fmt!("{}", recovered.nanos))
    }
}

/// Without a space, which in `log` would end the value.
fn names(flags: MmFlags) -> &'static str {
    match (flags.oom_skip, flags.unstable) {
        (true, true) => "oom-skip,unstable",
        (true, false) => "oom-skip",
        (false, true) => "unstable",
        (false, false) => "-",
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

/// The last failed forks. Prints as a line each, those of the file `log`.
pub(crate) struct Log {
    records: KVVec<Record>,
    /// Where the oldest is, once all places are taken.
    oldest: usize,
    /// How many were overwritten.
    nr_dropped: usize,
}

impl Log {
    /// How many it keeps.
    pub(crate) const CAPACITY: usize = 256;

    /// Empty, with room for all.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            records: KVVec::with_capacity(Self::CAPACITY, GFP_KERNEL)?,
            oldest: 0,
            nr_dropped: 0,
        })
    }

    /// Adds a record, in place of the oldest one if there is no room. Does not allocate.
    pub(crate) fn push(&mut self, record: Record) {
        if self.records.len() < Self::CAPACITY {
            // There is room.
            let _ = self.records.push_within_capacity(record);
        } else if let Some(oldest) = self.records.get_mut(self.oldest) {
            *oldest = record;
            self.oldest = self.oldest.wrapping_add(1) % Self::CAPACITY;
            self.nr_dropped = self.nr_dropped.wrapping_add(1);
        }
    }

    /// All of them, the oldest first.
    fn iter(&self) -> impl Iterator<Item = &Record> {
        let (newer, older) = self
            .records
            .split_at_checked(self.oldest)
            .unwrap_or((&[], &[]));

        Iterator::chain(older.iter(), newer)
    }

    /// The newest.
    pub(crate) fn last(&self) -> Option<&Record> {
        self.iter().last()
    }

    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        self.records.clear();
        self.oldest = 0;
        self.nr_dropped = 0;
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!("# dropped {}\n", self.nr_dropped))?;
        for record in self.iter() {
            let mut separator = "";

            record.each(|key, value| {
                // It may have spaces, so it comes last.
                if key == "comm" {
                    return Ok(());
                }
                f.write_fmt(fmt!("{separator}{key}={value}"))?;
                separator = " ";
                Ok(())
            })?;
            f.write_fmt(fmt!(" comm={}\n", record.comm))?;
        }
        Ok(())
    }
}

/// What a fork that only looks has come to. Prints as a line each, those of the file `steps`.
pub(crate) struct Steps {
    steps: KVVec<Step>,
    nr_dropped: usize,
}

/// One step of it.
struct Step {
    point: Point,
    vma: Option<VmaId>,
    nr_allocs: u32,
}

impl Steps {
    /// None.
    pub(crate) const fn new() -> Self {
        Self {
            steps: KVVec::new(),
            nr_dropped: 0,
        }
    }

    /// Adds the next one. It is dropped, and counted as that, if there is no memory for it.
    pub(crate) fn push(&mut self, point: Point, vma: Option<VmaId>, nr_allocs: u32) {
        let step = Step {
            point,
            vma,
            nr_allocs,
        };

        if self.steps.push(step, GFP_KERNEL).is_err() {
            self.nr_dropped = self.nr_dropped.wrapping_add(1);
        }
    }

    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        self.steps = KVVec::new();
        self.nr_dropped = 0;
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!(
            "# point vma-index vma allocations (dropped {})\n",
            self.nr_dropped
        ))?;
        for step in &self.steps {
            let Step {
                point, nr_allocs, ..
            } = step;

            match step.vma {
                Some(VmaId { index, start, end }) => {
                    let end = end.get();

                    f.write_fmt(fmt!("{point} {index} {start:x}-{end:x} {nr_allocs}\n"))?;
                }
                None => f.write_fmt(fmt!("{point} -1 - {nr_allocs}\n"))?,
            }
        }
        Ok(())
    }
}

/// A counter that any task may bump.
pub(crate) struct Counter(Atomic<usize>);

impl Counter {
    /// Starts at zero.
    pub(crate) const fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// Adds `n`.
    pub(crate) fn add(&self, n: usize) {
        self.0.add(n, Relaxed);
    }

    fn get(&self) -> usize {
        self.0.load(Relaxed)
    }

    fn clear(&self) {
        self.0.store(0, Relaxed);
    }
}

/// How often a point was come to.
pub(crate) struct PointCounters {
    /// Times a fork came to it.
    pub(crate) hits: Counter,
    /// Times it was made to fail.
    pub(crate) injected: Counter,
}

/// Counters since the module was loaded or reset. Print as `key: value` lines, those of `stats`.
pub(crate) struct Stats {
    /// Forks that copied an mm, whatever came of it.
    pub(crate) forks: Counter,
    /// Those that failed.
    pub(crate) failed: Counter,
    /// Failures injected, those of allocations among them.
    pub(crate) injected: Counter,
    /// Allocations that were made to fail, of a step or of a recovery.
    pub(crate) allocs_failed: Counter,
    /// Steps and recoveries that made fewer allocations than the one which was to fail.
    pub(crate) allocs_missed: Counter,
    /// Recoveries by this module.
    pub(crate) recovered_rust: Counter,
    /// Recoveries by the kernel's own code.
    pub(crate) recovered_upstream: Counter,
    /// VMAs torn down by either.
    pub(crate) vmas_torn_down: Counter,
    /// Pages given back to the commit limit by either.
    pub(crate) pages_uncharged: Counter,
    points: PerPoint<PointCounters>,
}

impl Stats {
    /// All zero.
    pub(crate) const fn new() -> Self {
        Self {
            forks: Counter::new(),
            failed: Counter::new(),
            injected: Counter::new(),
            allocs_failed: Counter::new(),
            allocs_missed: Counter::new(),
            recovered_rust: Counter::new(),
            recovered_upstream: Counter::new(),
            vmas_torn_down: Counter::new(),
            pages_uncharged: Counter::new(),
            points: PerPoint(
                [const {
                    PointCounters {
                        hits: Counter::new(),
                        injected: Counter::new(),
                    }
                }; Point::COUNT],
            ),
        }
    }

    /// The counters of one point.
    pub(crate) fn point(&self, point: Point) -> &PointCounters {
        self.points.get(point)
    }

    /// Counts a recovery.
    pub(crate) fn recovered(&self, ran_by: RanBy, report: &Report) {
        self.recovered_rust.add(ran_by.module.into());
        self.recovered_upstream.add(ran_by.kernel.into());
        self.vmas_torn_down.add(report.nr_vmas);
        self.pages_uncharged.add(report.nr_accounted);
    }

    fn named(&self) -> [(&'static str, &Counter); 9] {
        [
            ("forks", &self.forks),
            ("failed", &self.failed),
            ("injected", &self.injected),
            ("allocs-failed", &self.allocs_failed),
            ("allocs-missed", &self.allocs_missed),
            ("recovered-rust", &self.recovered_rust),
            ("recovered-upstream", &self.recovered_upstream),
            ("vmas-torn-down", &self.vmas_torn_down),
            ("pages-uncharged", &self.pages_uncharged),
        ]
    }

    /// Sets all to zero.
    pub(crate) fn clear(&self) {
        for (_, counter) in self.named() {
            counter.clear();
        }
        for point in &self.points.0 {
            point.hits.clear();
            point.injected.clear();
        }
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, counter) in self.named() {
            f.write_fmt(fmt!("{name}: {}\n", counter.get()))?;
        }
        Ok(())
    }
}

/// The table of all points, the file `points`.
pub(crate) struct PointTable<'a>(pub(crate) &'a Stats);

impl fmt::Display for PointTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!("# point errno hits injected errno-kept fails when\n"))?;
        for point in Point::all() {
            let counters = self.0.point(point);

            f.write_fmt(fmt!(
                "{} {} {} {} {} {}\n",
                point,
                point.errno(),
                counters.hits.get(),
                counters.injected.get(),
                if point.errno_kept() { 'y' } else { 'n' },
                point.reason()
            ))?;
        }
        Ok(())
    }
}
