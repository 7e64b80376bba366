// SPDX-License-Identifier: GPL-2.0

//! What others would find of a child whose fork is held.
//!
//! An observer does what swapoff or uprobes do: it takes the child's mmap lock for reading, or
//! goes without if a writer has it, and walks the tree. It does not follow what is not the
//! child's, which is what they could not know.

#![forbid(unsafe_code)]

use crate::{
    hold::Sight,
    mm::{
        nr_users,
        view::{
            AddrRange,
            FoundVma,
            MmView,
            Unread, //
        },
        Extent,
        MmFlags, //
    },
    value::Choice, //
};
use kernel::{
    fmt,
    prelude::*, //
};

/// What an entry of the child's tree is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A copy.
    Own,
    /// A VMA of the parent, or what was one.
    Parents,
    /// The mark where the copying failed.
    Marker,
}

impl Kind {
    /// By where it is: to look at a VMA of the parent could be a use after free.
    fn of(entry: &Unread, extent: Extent) -> Self {
        if entry.is_marker() {
            Self::Marker
        } else if entry.range().first() < extent.end() {
            Self::Own
        } else {
            Self::Parents
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Parents => "parent",
            Self::Marker => "marker",
        }
    }
}

/// A range as `/proc/<pid>/maps` has it.
struct Hex(AddrRange);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(range) = self;

        f.write_fmt(fmt!(
            "{:x}-{:x}",
            range.first(),
            range.last().wrapping_add(1)
        ))
    }
}

impl Sight {
    /// Prints what `find_vma()` has found, as an entry of the tree.
    fn show_found(
        &self,
        f: &mut fmt::Formatter<'_>,
        view: &MmView<'_>,
        addr: usize,
        found: Option<FoundVma>,
    ) -> fmt::Result {
        let entry = found.and_then(|found| view.unread_entries().find(|entry| entry.is(found)));

        match entry {
            Some(entry) => f.write_fmt(fmt!(
                "find-vma: {addr:x} {} {}\n",
                Kind::of(&entry, self.extent).name(),
                Hex(entry.range())
            )),
            None => f.write_fmt(fmt!("find-vma: {addr:x} none\n")),
        }
    }
}

/// Prints as `key: value` lines, those of the file `observe`.
impl fmt::Display for Sight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!("pid: {}\n", self.pid))?;
        f.write_fmt(fmt!("at: {}\n", self.at.name()))?;
        f.write_fmt(fmt!("recovery: {}\n", self.recoverer.name()))?;
        f.write_fmt(fmt!("mm-flags: {}\n", MmFlags::of(&self.mm)))?;
        let Some(mm) = self.mm.mmget_not_zero() else {
            return f.write_str("mm-users: 0\nverdict: gone\n");
        };
        // Without ours.
        f.write_fmt(fmt!("mm-users: {}\n", nr_users(&mm).wrapping_sub(1)))?;
        let Some(view) = MmView::try_lock(&mm) else {
            return f.write_str("verdict: locked\n");
        };
        let mut clean = true;

        for entry in view.unread_entries() {
            let kind = Kind::of(&entry, self.extent);

            clean = false;
            f.write_fmt(fmt!("entry: {} {}\n", kind.name(), Hex(entry.range())))?;
        }
        if let Extent::Nothing | Extent::Below(_) = self.extent {
            let end = self.extent.end();

            self.show_found(f, &view, end, view.find_vma(end))?;
        }
        f.write_fmt(fmt!("verdict: {}\n", if clean { "clean" } else { "stale" }))
    }
}
