// SPDX-License-Identifier: GPL-2.0

//! A half-built mm whose locks are dropped before it is taken apart, as Linux 6.8 to 6.19 did it.
//!
//! For comparison only. Between the two, whoever comes by the mm finds the copies, a mark where
//! the copying failed, and behind it the parent's VMAs, which may be freed at any time.
//!
//! ```text
//! ChildMm<Building> -- leave --> Left    the locks are still held
//!                                  | the hook, when they are dropped
//!                               Leftover -- take_apart --> Report
//! ```
//!
//! C: `dup_mmap()` in `mm/mmap.c` of Linux 6.12

use super::{
    child::{
        Alone,
        ChildMm,
        TornDown, //
    },
    lock::MmapWriteGuard,
    view, Extent, Report,
};
use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    mm::MmWithUser,
    sync::aref::ARef, //
};

/// A half-built mm that is not to be taken apart under this lock.
#[must_use = "the mm is leaked unless it is taken apart later"]
pub(crate) struct Left<'a> {
    /// See [`Left::extent`].
    pub(super) extent: Extent,
    /// See [`Left::is_unstable`].
    pub(super) unstable: bool,
    /// The child's lock, under which it was left.
    pub(super) _locked: PhantomData<&'a mut ()>,
}

impl Left<'_> {
    /// How far the copied VMAs go.
    pub(crate) fn extent(&self) -> Extent {
        self.extent
    }

    /// Whether the mm says that it is not to be used, `MMF_UNSTABLE`.
    pub(crate) fn is_unstable(&self) -> bool {
        self.unstable
    }
}

/// A half-built mm whose lock was dropped, with a reference to it that counts as a user.
///
/// Dropping it leaks the mm: to exit it would follow the mark, and the VMAs of the parent.
///
/// # Invariants
///
/// What the mm's tree has below the end of `extent`, and nothing else in it, are VMAs of the mm, and
/// nobody but the owner of this removes them.
#[must_use = "the mm is leaked unless it is taken apart"]
pub(crate) struct Leftover<M: Deref<Target = MmWithUser>> {
    mm: ManuallyDrop<M>,
    extent: Extent,
}

impl<'a> Leftover<&'a MmWithUser> {
    /// Takes over what [`ChildMm::leave`] has left.
    ///
    /// # Safety
    ///
    /// `mm` is what was left, its tree has been changed by nobody since, and there is no other
    /// `Leftover` of it.
    pub(crate) unsafe fn new(mm: &'a MmWithUser, extent: Extent) -> Self {
        // INVARIANT: The caller says so.
        Self {
            mm: ManuallyDrop::new(mm),
            extent,
        }
    }

    /// The same with a reference of its own, so that it may stay when `fork()` has gone on.
    pub(crate) fn pin(self) -> Leftover<ARef<MmWithUser>> {
        // INVARIANT: `self` is gone, so this is the only one.
        Leftover {
            mm: ManuallyDrop::new(ARef::from(*self.mm)),
            extent: self.extent,
        }
    }
}

impl<M: Deref<Target = MmWithUser>> Leftover<M> {
    /// Takes the mm's lock again, and has `f` take it apart. Sleeps.
    pub(crate) fn take_apart(
        self,
        f: impl for<'a> FnOnce(ChildMm<'a, Alone>) -> TornDown<'a>,
    ) -> Report {
        // From here on it can be dropped: its tree will be empty.
        let mm = ManuallyDrop::into_inner(self.mm);
        // SAFETY: A reference to an mm is valid.
        let mut mas = unsafe { view::ma_state(NonNull::from(&*mm).cast(), 0) };
        let mut guard = MmapWriteGuard::lock(&mm);
        // SAFETY: By the type invariants the tree is as `extent` says, the lock is held, and the
        // state is new.
        let child =
            unsafe { ChildMm::left_behind(guard.proof(), NonNull::from(&mut mas), self.extent) };

        f(child).report()
    }
}
