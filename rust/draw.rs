// SPDX-License-Identifier: GPL-2.0

//! Where a fork fails that was chosen as a whole.
//!
//! With the file `per-fork` the fault attribute is asked once a fork. The step is drawn when the
//! fork begins, before it is known which steps it will come to. What is drawn is therefore a place
//! in their order, and the fork fails at the first step that the rule selects and that is not
//! before that place.

#![forbid(unsafe_code)]

use crate::{
    hook::Point,
    rule::Rule,
    step::Step, //
};
use core::num::NonZeroU32;

/// What a place is drawn with, from 1 to `i32::MAX`: the same for the same seed, rule and number of
/// VMAs.
pub(crate) type Seed = NonZeroU32;

/// One more than the largest seed.
const SEEDS: u64 = 1 << 31;

/// A place in the order in which `dup_mmap()` comes to its steps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// Before the first VMA.
    Before(Point),
    /// At the VMA of this ordinal; of a rule that is for one VMA always 0.
    Vma(u32, Point),
    /// Behind the last VMA.
    Behind(Point),
}

impl Place {
    /// That of a step which has no VMA.
    fn without_vma(point: Point) -> Self {
        if point < Point::VMA_START_WRITE {
            Self::Before(point)
        } else {
            Self::Behind(point)
        }
    }
}

/// The place of a fork that is to fail.
#[derive(Clone, Copy)]
pub(crate) struct Drawn {
    place: Place,
    /// What it was drawn with.
    pub(crate) seed: Seed,
}

impl Drawn {
    /// Draws evenly among the steps without a VMA that `rule` selects and, for each of `nr_vmas`
    /// VMAs, those with one. A rule that is for one VMA has that alone.
    ///
    /// `None` if it selects nothing.
    pub(crate) fn new(rule: &Rule, nr_vmas: u32, seed: Seed) -> Option<Self> {
        let selected = |has_vma| {
            Point::all()
                .filter(move |point| point.has_vma() == has_vma && rule.selects_point(*point))
        };
        let (nr_others, nr_vmas) = if rule.is_for_one_vma() {
            (0, 1)
        } else {
            (selected(false).count(), u64::from(nr_vmas))
        };
        let (nr_others, nr_each) = (nr_others as u64, selected(true).count() as u64);
        let nr = nr_others.wrapping_add(nr_each.wrapping_mul(nr_vmas));
        // Less than `nr`.
        let which = u64::from(seed.get()).wrapping_mul(nr) / SEEDS;

        let place = match which.checked_sub(nr_others) {
            None => Place::without_vma(selected(false).nth(which as usize)?),
            Some(which) => Place::Vma(
                which.checked_div(nr_each)? as u32,
                selected(true).nth(which.checked_rem(nr_each)? as usize)?,
            ),
        };

        Some(Self { place, seed })
    }

    /// Whether `step`, which `rule` selects, is the place or behind it.
    pub(crate) fn is_reached(&self, rule: &Rule, step: &Step) -> bool {
        let place = match &step.vma {
            None => Place::without_vma(step.point),
            Some(_) if rule.is_for_one_vma() => Place::Vma(0, step.point),
            Some(vma) => Place::Vma(vma.index, step.point),
        };

        place >= self.place
    }
}
