// SPDX-License-Identifier: GPL-2.0

//! Watching forks: what to inject, who recovers, what to remember.

#![forbid(unsafe_code)]

use crate::{
    bindings::{
        trace,
        Comm,
        FaultAttr,
        Point, //
    },
    hook::{
        Aftermath,
        Recovered,
        Watcher, //
    },
    inject::{
        AllocWindow,
        Rule, //
    },
    mm::{
        Building,
        ChildMm,
        Vma, //
    },
    record::{
        self,
        Log,
        Record,
        Stats,
        Steps,
        VmaId, //
    },
    recovery::recover, //
};
use core::num::{
    NonZeroU32,
    NonZeroUsize, //
};
use kernel::{
    current,
    ffi::c_int,
    new_mutex,
    prelude::*,
    str::CStr,
    sync::Mutex,
    time::{
        Instant,
        Monotonic, //
    }, //
};

/// Who is to recover.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// This module, [`recover`].
    Rust,
    /// The kernel itself, `dup_mmap_recover()`.
    Upstream,
}

impl Recovery {
    /// Both, in the order in which the file `recovery` shows them.
    pub(crate) const ALL: [Self; 2] = [Self::Rust, Self::Upstream];

    /// Its name in that file.
    pub(crate) fn name(self) -> &'static CStr {
        match self {
            Self::Rust => c"rust",
            Self::Upstream => c"upstream",
        }
    }
}

/// What root has asked for, each part changed as a whole.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    /// Where to fail.
    pub(crate) rule: Rule,
    /// Who is to recover.
    pub(crate) recovery: Recovery,
    /// Whether the next fork that the fault attribute's task filter lets through only looks.
    pub(crate) dry_run: bool,
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
    /// The last failed forks.
    #[pin]
    pub(crate) log: Mutex<Log>,
    /// The steps of the last fork that only looked.
    #[pin]
    pub(crate) steps: Mutex<Steps>,
    /// Counters.
    pub(crate) stats: Stats,
}

impl State {
    /// Disarmed, with the recovery in Rust.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<impl PinInit<Self>> {
        let log = Log::new()?;

        Ok(pin_init!(Self {
            fault <- FaultAttr::new(),
            settings <- new_mutex!(Settings {
                rule: Rule::ANY,
                recovery: Recovery::Rust,
                dry_run: false,
            }),
            log <- new_mutex!(log),
            steps <- new_mutex!(Steps::new()),
            stats: Stats::new(),
        }))
    }

    /// Disarms, and forgets what has happened. Who recovers stays as it is.
    pub(crate) fn reset(&self) {
        // The knobs first, so that no rule applies more widely than it was meant to.
        self.fault.disarm();
        {
            let mut settings = self.settings.lock();

            settings.rule = Rule::ANY;
            settings.dry_run = false;
        }
        self.log.lock().clear();
        self.steps.lock().clear();
        self.stats.clear();
    }

    /// Ends what [`Fork::window`] is about, if anything.
    fn close_window(&self, fork: &mut Fork) {
        let Some(window) = fork.window.take() else {
            return;
        };
        let allocs = window.close();

        if let (true, Some(point)) = (fork.settings.dry_run, fork.point) {
            self.steps.lock().push(point, fork.vma, allocs.nr);
            return;
        }
        if !allocs.failed {
            self.stats.allocs_missed.add(1);
            return;
        }
        self.stats.allocs_failed.add(1);
        if fork.failed.is_some() {
            fork.recovery_alloc_failed = true;
        } else {
            // Whether the step failed for it will be seen.
            self.injected(fork, 0, fork.settings.rule.alloc_nth);
        }
    }

    /// Takes note of a failure that was injected at the fork's last step.
    fn injected(&self, fork: &mut Fork, error: c_int, alloc_nth: Option<NonZeroU32>) {
        let Some(point) = fork.point else {
            return;
        };
        let alloc_nth = alloc_nth.map_or(0, NonZeroU32::get);
        let place = place(point, fork.vma.as_ref());

        fork.injected = true;
        self.stats.point(point).injected.add(1);
        self.stats.injected.add(1);
        trace::injected(&place, error, alloc_nth);
        // The framework's own lines say that fail_dup_mmap, or failslab, has forced a failure.
        if self.fault.is_verbose() {
            pr_notice!(
                "FAULT_INJECTION: {point}, vma-index {}, alloc-nth {alloc_nth}\n",
                place.vma_index
            );
        }
    }
}

/// For the tracepoints.
fn place(point: Point, vma: Option<&VmaId>) -> trace::Place {
    trace::Place {
        point,
        // Below the limit on VMAs of an mm.
        vma_index: vma.map_or(-1, |vma| vma.index as c_int),
        start: vma.map_or(0, |vma| vma.start),
        end: vma.map_or(0, |vma| vma.end.get()),
    }
}

/// What is kept about a fork while it runs.
pub(crate) struct Fork {
    /// As they were when it began: a change in between does not split it. `dry_run` is this fork's.
    settings: Settings,
    /// The step it came to last.
    point: Option<Point>,
    /// The VMA that the step is about, if it has one.
    vma: Option<VmaId>,
    /// The allocations of that step, or of the recovery, if anybody asked about them.
    window: Option<AllocWindow>,
    /// VMAs of the parent come to so far.
    nr_vmas: u32,
    /// Whether that step was made to fail.
    injected: bool,
    /// Whether an allocation of the recovery was.
    recovery_alloc_failed: bool,
    /// When it failed, with how many VMAs copied.
    failed: Option<(Instant<Monotonic>, usize)>,
}

impl Watcher for State {
    type Fork = Fork;

    fn begin(&self) -> Fork {
        let mut settings = self.settings.lock();
        let dry_run = settings.dry_run && self.fault.concerns_current();
        let fork = Fork {
            settings: Settings {
                dry_run,
                ..*settings
            },
            point: None,
            vma: None,
            window: None,
            nr_vmas: 0,
            injected: false,
            recovery_alloc_failed: false,
            failed: None,
        };

        if dry_run {
            // Once only, and in one go, so that two forks do not mix their steps. Nowhere else are
            // two of the locks held: `settings` before `steps`.
            settings.dry_run = false;
            self.steps.lock().clear();
        }
        drop(settings);
        self.stats.forks.add(1);
        fork
    }

    fn point(&self, fork: &mut Fork, point: Point, vma: Option<Vma<'_>>) -> Result {
        let counters = self.stats.point(point);

        // The step before is over.
        self.close_window(fork);
        fork.injected = false;
        counters.hits.add(1);
        if point == Point::VMA_START_WRITE {
            fork.nr_vmas = fork.nr_vmas.wrapping_add(1);
        }
        fork.point = Some(point);
        fork.vma = vma.and_then(|vma| {
            Some(VmaId {
                index: fork.nr_vmas.wrapping_sub(1),
                start: vma.start(),
                end: NonZeroUsize::new(vma.end())?,
            })
        });

        let rule = fork.settings.rule;
        if fork.settings.dry_run {
            fork.window = Some(AllocWindow::open(None));
            return Ok(());
        }
        if !rule.covers(point, fork.vma.as_ref()) || !self.fault.should_fail() {
            return Ok(());
        }
        if rule.alloc_nth.is_some() {
            fork.window = Some(AllocWindow::open(rule.alloc_nth));
            return Ok(());
        }
        let error = rule.error(point);

        self.injected(fork, error.to_errno(), None);
        Err(error)
    }

    fn recover<'a>(&self, fork: &mut Fork, child: ChildMm<'a, Building>) -> Recovered<'a> {
        self.close_window(fork);
        fork.failed = Some((Instant::now(), child.nr_copied()));
        if let (true, Some(nth)) = (fork.injected, fork.settings.rule.recovery_alloc_nth) {
            // Until the locks are dropped, whoever recovers.
            fork.window = Some(AllocWindow::open(Some(nth)));
        }
        match fork.settings.recovery {
            Recovery::Rust => {
                let (torn_down, report) = recover(child);

                Recovered::TornDown(torn_down, report)
            }
            Recovery::Upstream => Recovered::Declined(child),
        }
    }

    fn end(&self, mut fork: Fork, result: Result, aftermath: &Aftermath) {
        self.close_window(&mut fork);

        let (Err(error), Some(point)) = (result, fork.point) else {
            return;
        };
        let errno = error.to_errno();
        let &Aftermath {
            ran_by,
            report,
            flags,
        } = aftermath;
        let recovered = fork.failed.map(|(since, nr_copied)| {
            let nanos = since.elapsed().as_nanos();

            self.stats.recovered(ran_by, &report);
            trace::recovered(
                &place(point, fork.vma.as_ref()),
                errno,
                &trace::Undone {
                    recovery: ran_by.name(),
                    extent: report.extent.end(),
                    nr_copied,
                    nr_vmas: report.nr_vmas,
                    nr_accounted: report.nr_accounted,
                },
            );
            record::Recovered {
                ran_by,
                nr_copied,
                report,
                nanos,
            }
        });
        let nth = |nth: Option<NonZeroU32>| nth.map_or(0, NonZeroU32::get);
        // What was asked for says nothing of a failure that came by itself.
        let rule = if fork.injected {
            fork.settings.rule
        } else {
            Rule::ANY
        };

        self.stats.failed.add(1);
        self.log.lock().push(Record {
            pid: current!().pid(),
            comm: Comm::current(),
            point,
            vma: fork.vma,
            errno,
            injected: fork.injected,
            alloc_nth: nth(rule.alloc_nth),
            recovery_alloc_nth: nth(rule.recovery_alloc_nth),
            recovery_alloc_failed: fork.recovery_alloc_failed,
            recovered,
            flags,
        });
    }
}
