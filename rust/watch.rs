// SPDX-License-Identifier: GPL-2.0

//! Watching forks: what to inject, who recovers, what to remember.

#![forbid(unsafe_code)]

use crate::{
    bindings::{
        Comm,
        FaultAttr,
        Point, //
    },
    hook::{
        Recovered,
        Watcher, //
    },
    inject::Rule,
    mm::{
        Building,
        ChildMm,
        Vma, //
    },
    record::{
        self,
        Record,
        Recovery,
        Stats,
        VmaId, //
    },
    recovery::{
        recover,
        Report, //
    }, //
};
use kernel::{
    current,
    new_mutex,
    prelude::*,
    sync::Mutex,
    time::{
        Instant,
        Monotonic, //
    }, //
};

/// What root has asked for, each part changed as a whole.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    /// Where to fail.
    pub(crate) rule: Rule,
    /// Who recovers.
    pub(crate) recovery: Recovery,
}

/// Everything the module knows.
#[pin_data]
pub(crate) struct State {
    /// Whether, when and to whom a failure is injected.
    #[pin]
    pub(crate) fault: FaultAttr,
    /// What root has asked for.
    #[pin]
    pub(crate) settings: Mutex<Settings>,
    /// The last failed fork.
    #[pin]
    pub(crate) last: Mutex<Option<Record>>,
    /// Counters.
    pub(crate) stats: Stats,
}

impl State {
    /// Disarmed, with the recovery in Rust.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            fault <- FaultAttr::new(),
            settings <- new_mutex!(Settings {
                rule: Rule::ANY,
                recovery: Recovery::Rust,
            }),
            last <- new_mutex!(None),
            stats: Stats::new(),
        })
    }

    /// Disarms, and forgets what has happened. Who recovers stays as it is.
    pub(crate) fn reset(&self) {
        // The knobs first, so that no rule applies more widely than it was meant to.
        self.fault.disarm();
        self.settings.lock().rule = Rule::ANY;
        *self.last.lock() = None;
        self.stats.clear();
    }
}

/// What is kept about a fork while it runs.
pub(crate) struct Fork {
    /// As they were when it began: a change in between does not split it.
    settings: Settings,
    /// The step it came to last.
    point: Option<Point>,
    /// The VMA that the step is about, if it has one.
    vma: Option<VmaId>,
    /// VMAs of the parent come to so far.
    nr_vmas: u32,
    /// Whether that step was made to fail.
    injected: bool,
    /// When it failed, with how many VMAs copied.
    failed: Option<(Instant<Monotonic>, usize)>,
}

impl Watcher for State {
    type Fork = Fork;

    fn begin(&self) -> Fork {
        self.stats.forks.add(1);
        Fork {
            settings: *self.settings.lock(),
            point: None,
            vma: None,
            nr_vmas: 0,
            injected: false,
            failed: None,
        }
    }

    fn point(&self, fork: &mut Fork, point: Point, vma: Option<Vma<'_>>) -> Result {
        let counters = self.stats.point(point);

        counters.hits.add(1);
        if point == Point::VMA_START_WRITE {
            fork.nr_vmas = fork.nr_vmas.wrapping_add(1);
        }
        fork.point = Some(point);
        fork.vma = vma.map(|vma| VmaId {
            index: fork.nr_vmas.wrapping_sub(1),
            start: vma.start(),
            end: vma.end(),
        });

        let rule = &fork.settings.rule;
        if !rule.covers(point, fork.vma.map(|vma| vma.index)) || !self.fault.should_fail() {
            return Ok(());
        }
        fork.injected = true;
        counters.injected.add(1);
        self.stats.injected.add(1);
        Err(rule.error(point))
    }

    fn recover<'a>(&self, fork: &mut Fork, child: ChildMm<'a, Building>) -> Recovered<'a> {
        fork.failed = Some((Instant::now(), child.nr_copied()));
        match fork.settings.recovery {
            Recovery::Rust => {
                let (torn_down, report) = recover(child);

                Recovered::TornDown(torn_down, report)
            }
            Recovery::Upstream => Recovered::Declined(child),
        }
    }

    fn end(&self, fork: Fork, result: Result, report: &Report) {
        let (Err(error), Some(point)) = (result, fork.point) else {
            return;
        };
        let recovery = fork.settings.recovery;
        let recovered = fork.failed.map(|(since, nr_copied)| {
            self.stats.recovered(recovery, report);
            record::Recovered {
                recovery,
                nr_copied,
                report: *report,
                nanos: since.elapsed().as_nanos(),
            }
        });

        self.stats.failed.add(1);
        *self.last.lock() = Some(Record {
            pid: current!().pid(),
            comm: Comm::current(),
            point,
            vma: fork.vma,
            errno: error.to_errno(),
            injected: fork.injected,
            recovered,
        });
    }
}
