// SPDX-License-Identifier: GPL-2.0

//! What root has asked for.
//!
//! Every fork reads it, so there is no lock: each setting is a word of its own.

#![forbid(unsafe_code)]

use crate::{
    draw::Seed,
    hold::HoldAt,
    hook::Point,
    recoverer::Recoverer,
    rule::Rule,
    value::{
        Errno,
        Timeout,
        Value, //
    }, //
};
use core::{
    marker::PhantomData,
    num::{
        NonZeroU32,
        NonZeroUsize, //
    }, //
};
use kernel::{
    fmt,
    sync::atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    }, //
};

/// One setting, which is changed as a whole.
pub(crate) struct Setting<V> {
    word: Atomic<u64>,
    _value: PhantomData<V>,
}

impl<V: Value> Setting<V> {
    /// Set to `value`.
    pub(crate) fn new(value: V) -> Self {
        Self {
            word: Atomic::new(value.to_word()),
            _value: PhantomData,
        }
    }

    /// As it is now. What was set before it, in the order of [`Settings::reset`], is seen too.
    pub(crate) fn get(&self) -> V {
        V::from_word(self.word.load(Acquire))
    }

    /// Sets it.
    pub(crate) fn set(&self, value: V) {
        self.word.store(value.to_word(), Release);
    }
}

impl Setting<bool> {
    /// Sets it to false, and says whether it was true: of several tasks one is told so.
    pub(crate) fn take(&self) -> bool {
        self.get() && bool::from_word(self.word.xchg(false.to_word(), Relaxed))
    }
}

impl<V: Value> fmt::Display for Setting<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().show(f)
    }
}

/// All settings but those of the fault attribute.
pub(crate) struct Settings {
    /// [`Rule::point`].
    pub(crate) point: Setting<Option<Point>>,
    /// [`Rule::vma_index`].
    pub(crate) vma_index: Setting<Option<u32>>,
    /// [`Rule::vma_addr`].
    pub(crate) vma_addr: Setting<Option<NonZeroUsize>>,
    /// [`Rule::errno`].
    pub(crate) errno: Setting<Option<Errno>>,
    /// [`Rule::alloc_nth`].
    pub(crate) alloc_nth: Setting<Option<NonZeroU32>>,
    /// [`Rule::recovery_alloc_nth`].
    pub(crate) recovery_alloc_nth: Setting<Option<NonZeroU32>>,
    /// Whether the fault attribute is asked once a fork, and not at each step.
    pub(crate) per_fork: Setting<bool>,
    /// What the place of such a fork is drawn with; a random number if `None`.
    pub(crate) seed: Setting<Option<Seed>>,
    /// Whether the next fork that the fault attribute's task filter lets through only looks.
    pub(crate) dry_run: Setting<bool>,
    /// Who is to recover.
    pub(crate) recovery: Setting<Recoverer>,
    /// Where a fork that was made to fail waits.
    pub(crate) hold_at: Setting<HoldAt>,
    /// For how long at most.
    pub(crate) hold_timeout: Setting<Timeout>,
}

impl Settings {
    /// Any step, no dry run, and the recovery in Rust.
    pub(crate) fn new() -> Self {
        Self {
            point: Setting::new(None),
            vma_index: Setting::new(None),
            vma_addr: Setting::new(None),
            errno: Setting::new(None),
            alloc_nth: Setting::new(None),
            recovery_alloc_nth: Setting::new(None),
            per_fork: Setting::new(false),
            seed: Setting::new(None),
            dry_run: Setting::new(false),
            recovery: Setting::new(Recoverer::Rust),
            hold_at: Setting::new(HoldAt::None),
            hold_timeout: Setting::new(Timeout::DEFAULT),
        }
    }

    /// The rule as it is now.
    pub(crate) fn rule(&self) -> Rule {
        Rule {
            point: self.point.get(),
            vma_index: self.vma_index.get(),
            vma_addr: self.vma_addr.get(),
            errno: self.errno.get(),
            alloc_nth: self.alloc_nth.get(),
            recovery_alloc_nth: self.recovery_alloc_nth.get(),
        }
    }

    /// Back to any step, no dry run and no hold. Who recovers stays as it is.
    ///
    /// A fork that sees part of this sees whatever the caller has written before.
    pub(crate) fn reset(&self) {
        self.point.set(None);
        self.vma_index.set(None);
        self.vma_addr.set(None);
        self.errno.set(None);
        self.alloc_nth.set(None);
        self.recovery_alloc_nth.set(None);
        self.per_fork.set(false);
        self.seed.set(None);
        self.dry_run.set(false);
        self.hold_at.set(HoldAt::None);
        self.hold_timeout.set(Timeout::DEFAULT);
    }
}
