// SPDX-License-Identifier: GPL-2.0

//! Which steps of which calls are to fail.
//!
//! The rule says where; whether, when and to whom is up to the fault attribute beside it.

#![forbid(unsafe_code)]

use crate::{
    hook::Point,
    step::Step,
    value::Errno, //
};
use core::num::{
    NonZeroU32,
    NonZeroUsize, //
};
use kernel::error::Error;

/// Where to fail, and with what.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    /// Only this step; any if `None`.
    pub(crate) point: Option<Point>,
    /// Only for the parent's VMA of this ordinal, counted from 0; if `None`, for any and for the
    /// steps that have no VMA.
    pub(crate) vma_index: Option<u32>,
    /// Only for the parent's VMA that this address is in; as above if `None`.
    pub(crate) vma_addr: Option<NonZeroUsize>,
    /// With this error; with the step's own if `None`.
    pub(crate) errno: Option<Errno>,
    /// Let the step be taken, and make this one of its allocations fail, counted from 1; do not
    /// take it if `None`.
    pub(crate) alloc_nth: Option<NonZeroU32>,
    /// When a call was made to fail, make this one of the allocations of its recovery fail.
    pub(crate) recovery_alloc_nth: Option<NonZeroU32>,
}

impl Rule {
    /// Every step, each with its own error.
    pub(crate) const ANY: Self = Self {
        point: None,
        vma_index: None,
        vma_addr: None,
        errno: None,
        alloc_nth: None,
        recovery_alloc_nth: None,
    };

    /// Whether the rule selects `step`.
    pub(crate) fn selects(&self, step: &Step) -> bool {
        let vma = step.vma.as_ref();

        self.selects_point(step.point)
            && self
                .vma_index
                .is_none_or(|wanted| vma.is_some_and(|vma| vma.index == wanted))
            && self
                .vma_addr
                .is_none_or(|wanted| vma.is_some_and(|vma| vma.contains(wanted.get())))
    }

    /// Whether it selects the step `point` of some VMA, or of none.
    pub(crate) fn selects_point(&self, point: Point) -> bool {
        self.point.is_none_or(|wanted| wanted == point)
    }

    /// Whether there is one VMA at most that it selects.
    pub(crate) fn is_for_one_vma(&self) -> bool {
        self.vma_index.is_some() || self.vma_addr.is_some()
    }

    /// What a step is to fail with.
    pub(crate) fn error(&self, point: Point) -> Error {
        match self.errno {
            Some(errno) => Error::from_errno(errno.get()),
            None => point.error(),
        }
    }
}
