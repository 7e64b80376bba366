// SPDX-License-Identifier: GPL-2.0

//! The failure points of `dup_mmap()`.
//!
//! C header: [`include/linux/dup_mmap_points.h`](srctree/include/linux/dup_mmap_points.h)

use crate::bindings::raw;
use kernel::{
    error::Error,
    ffi::c_int,
    fmt,
    str::{
        BStr,
        CStr,
        CStrExt as _, //
    }, //
};

/// A step of `dup_mmap()` that can fail. Ordered as `dup_mmap()` comes to them.
///
/// # Invariants
///
/// The number is one of C's `enum dup_mmap_point`, less than [`Point::COUNT`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Point(u32);

impl Point {
    /// How many there are.
    pub(crate) const COUNT: usize = raw::dup_mmap_point_NR_DUP_MMAP_POINTS as usize;

    /// The first that `dup_mmap()` comes to.
    // INVARIANT: There is at least one.
    pub(crate) const FIRST: Self = Self(0);

    /// The first step taken for each VMA, `vma_start_write_killable()`.
    // INVARIANT: An enumerator of the C enum.
    pub(crate) const VMA_START_WRITE: Self = Self(raw::dup_mmap_point_DUP_MMAP_VMA_START_WRITE);

    /// The first step behind the last VMA, `arch_dup_mmap()`.
    // INVARIANT: An enumerator of the C enum.
    const ARCH_DUP_MMAP: Self = Self(raw::dup_mmap_point_DUP_MMAP_ARCH_DUP_MMAP);

    /// All points, in the order `dup_mmap()` comes to them.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        // INVARIANT: The range ends before `COUNT`.
        (0..Self::COUNT as u32).map(Self)
    }

    /// The point with C's number `number`.
    pub(crate) fn from_raw(number: raw::dup_mmap_point) -> Option<Self> {
        // INVARIANT: Just compared.
        ((number as usize) < Self::COUNT).then_some(Self(number))
    }

    /// The point called `name`.
    pub(crate) fn from_name(name: &[u8]) -> Option<Self> {
        Self::all().find(|point| point.name() == BStr::from_bytes(name))
    }

    /// C's number for it.
    pub(crate) fn as_raw(self) -> raw::dup_mmap_point {
        self.0
    }

    /// Its number, from 0 to less than [`Point::COUNT`].
    fn index(self) -> usize {
        self.0 as usize
    }

    /// Whether it is about a VMA of the parent.
    pub(crate) fn has_vma(self) -> bool {
        (Self::VMA_START_WRITE..Self::ARCH_DUP_MMAP).contains(&self)
    }

    fn info(self) -> &'static raw::dup_mmap_point_info {
        let table = (&raw const raw::dup_mmap_point_info).cast::<raw::dup_mmap_point_info>();
        // SAFETY: The table has `COUNT` entries; by the type invariant the index is below that.
        let entry = unsafe { table.add(self.index()) };
        // SAFETY: An entry of the table, which is constant and never goes away: it is a part of
        // the kernel, not of the module.
        unsafe { &*entry }
    }

    /// Its name in debugfs, such as `vm-area-dup`.
    pub(crate) fn name(self) -> &'static BStr {
        // SAFETY: The table's strings are literals.
        BStr::from_bytes(unsafe { CStr::from_char_ptr(self.info().name) }.to_bytes())
    }

    /// What makes the step fail in real life.
    pub(crate) fn reason(self) -> &'static BStr {
        // SAFETY: The table's strings are literals.
        BStr::from_bytes(unsafe { CStr::from_char_ptr(self.info().reason) }.to_bytes())
    }

    /// What the step fails with, a negative errno.
    pub(crate) fn errno(self) -> c_int {
        self.info().error
    }

    /// The same as an [`Error`].
    pub(crate) fn error(self) -> Error {
        Error::from_errno(self.errno())
    }

    /// Whether `dup_mmap()` returns the step's error as it is, rather than `-ENOMEM`.
    pub(crate) fn errno_kept(self) -> bool {
        self.info().kept
    }
}

/// One `T` for each point.
pub(crate) struct PerPoint<T>(pub(crate) [T; Point::COUNT]);

impl<T> PerPoint<T> {
    /// That of `point`. Has no bounds check that could panic under the mmap lock.
    pub(crate) fn get(&self, point: Point) -> &T {
        // SAFETY: By the type invariant of `Point` its index is below `COUNT`, the length of the
        // array.
        unsafe { self.0.get_unchecked(point.index()) }
    }

    /// The same, to be changed.
    pub(crate) fn get_mut(&mut self, point: Point) -> &mut T {
        // SAFETY: An index of a `Point` is below `COUNT`, the length of the array.
        unsafe { self.0.get_unchecked_mut(point.index()) }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.name(), f)
    }
}
