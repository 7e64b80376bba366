// SPDX-License-Identifier: GPL-2.0

//! A step of a call, and the steps of one that only looks.

#![forbid(unsafe_code)]

use crate::{
    hook::Point,
    mm::Vma, //
};
use core::num::NonZeroUsize;
use kernel::{
    fmt,
    prelude::*, //
};

/// A step that a call has come to.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    /// Which one.
    pub(crate) point: Point,
    /// The VMA of the parent that it is about, if it has one.
    pub(crate) vma: Option<VmaId>,
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
    /// That of `vma`, which is the parent's `index`-th.
    pub(crate) fn new(index: u32, vma: Vma<'_>) -> Option<Self> {
        Some(Self {
            index,
            start: vma.start(),
            end: NonZeroUsize::new(vma.end())?,
        })
    }

    /// Whether `addr` is in it.
    pub(crate) fn contains(&self, addr: usize) -> bool {
        (self.start..self.end.get()).contains(&addr)
    }
}

/// What a call that only looks has come to. Prints as a line each, those of the file `steps`.
pub(crate) struct Steps {
    steps: KVVec<(Step, u32)>,
    nr_dropped: usize,
}

impl Steps {
    /// None.
    pub(crate) const fn new() -> Self {
        Self {
            steps: KVVec::new(),
            nr_dropped: 0,
        }
    }

    /// Adds the next one, in which there were `nr_allocs` allocations. It is dropped, and counted as
    /// that, if there is no memory for it.
    pub(crate) fn push(&mut self, step: Step, nr_allocs: u32) {
        if self.steps.push((step, nr_allocs), GFP_KERNEL).is_err() {
            self.nr_dropped = self.nr_dropped.wrapping_add(1);
        }
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!(
            "# point vma-index vma allocations (dropped {})\n",
            self.nr_dropped
        ))?;
        for (Step { point, vma }, nr_allocs) in &self.steps {
            match vma {
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
