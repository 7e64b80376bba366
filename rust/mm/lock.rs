// SPDX-License-Identifier: GPL-2.0

//! The mmap lock, held for writing: of one mm, or of a parent and its child.
//!
//! # Lock order
//!
//! The parent's mmap lock, then the child's, which lockdep takes for the same class and has to be
//! told apart (`SINGLE_DEPTH_NESTING`). They are dropped the other way round. `dup_mmap()` takes
//! them like that, and here there is no other way to the proof for a pair. Whoever takes two locks
//! that are no pair hears of it from lockdep.
//!
//! Two kinds of types: a *guard* has taken the lock and drops it; a *proof* says that the running
//! task holds it, whoever took it. What needs the lock takes the proof. Guards lend theirs, and
//! `dup_mmap()`'s callbacks make theirs from what C promises.
//!
//! C header: [`include/linux/mmap_lock.h`](srctree/include/linux/mmap_lock.h)

use crate::bindings::raw;
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    error::to_result,
    mm::Mm,
    prelude::*,
    types::NotThreadSafe, //
};

/// The proof that the running task holds an mm's mmap lock for writing.
///
/// # Invariants
///
/// For `'a` the mm is valid and the running task holds its mmap lock for writing.
pub(crate) struct WriteLocked<'a> {
    mm: NonNull<bindings::mm_struct>,
    _locked: PhantomData<&'a mut bindings::mm_struct>,
    _nts: NotThreadSafe,
}

impl WriteLocked<'_> {
    /// Takes C's word for it.
    ///
    /// # Safety
    ///
    /// The type's invariants hold for the lifetime that the caller chooses, and for no part of it
    /// there is another proof for this mm.
    unsafe fn assume(mm: NonNull<bindings::mm_struct>) -> Self {
        // SAFETY: The caller says that the mm is valid.
        unsafe { raw::helper_mmap_assert_write_locked(mm.as_ptr()) };

        // INVARIANT: The caller says so.
        Self {
            mm,
            _locked: PhantomData,
            _nts: NotThreadSafe,
        }
    }

    /// Whether somebody gathers what is unmapped of the mm, `mm_tlb_flush_pending()`.
    pub(crate) fn tlb_flush_pending(&self) -> bool {
        // SAFETY: By the type invariants the mm is valid.
        unsafe { raw::helper_mm_tlb_flush_pending(self.mm.as_ptr()) }
    }

    /// The mm as C knows it.
    pub(super) fn mm(&self) -> NonNull<bindings::mm_struct> {
        self.mm
    }
}

/// The proof for a parent and its child.
pub(crate) struct WriteLockedPair<'a> {
    parent: WriteLocked<'a>,
    child: WriteLocked<'a>,
}

impl<'a> WriteLockedPair<'a> {
    /// Takes C's word for it.
    ///
    /// # Safety
    ///
    /// `parent` and `child` are two mms, and the running task holds the mmap locks of both for
    /// writing, for the lifetime that the caller chooses and without another proof.
    pub(crate) unsafe fn assume(
        parent: NonNull<bindings::mm_struct>,
        child: NonNull<bindings::mm_struct>,
    ) -> Self {
        Self {
            // SAFETY: The running task holds the parent's mmap lock for writing.
            parent: unsafe { WriteLocked::assume(parent) },
            // SAFETY: The running task holds the child's mmap lock for writing.
            child: unsafe { WriteLocked::assume(child) },
        }
    }

    /// The parent's proof and the child's.
    pub(crate) fn split(self) -> (WriteLocked<'a>, WriteLocked<'a>) {
        (self.parent, self.child)
    }
}

/// Holds the mmap lock of an mm for writing until it is dropped.
///
/// # Examples
///
/// ```
/// # let test = crate::mm::TestMm::new()?;
/// # let mm = test.mm();
/// use crate::mm::MmapWriteGuard;
///
/// let mut guard = MmapWriteGuard::lock_killable(mm)?;
/// let proof = guard.proof();
/// # let _ = proof;
/// ```
///
/// # Invariants
///
/// The running task holds the mmap lock of `mm` for writing.
#[must_use = "the lock is dropped with it"]
pub(crate) struct MmapWriteGuard<'a> {
    mm: &'a Mm,
    _nts: NotThreadSafe,
}

impl<'a> MmapWriteGuard<'a> {
    /// Takes the mmap lock of `mm` for writing, `mmap_write_lock()`. Sleeps.
    pub(crate) fn lock(mm: &'a Mm) -> Self {
        // SAFETY: A reference to an mm is valid.
        unsafe { raw::helper_mmap_write_lock(mm.as_raw()) };

        // INVARIANT: Just taken.
        Self {
            mm,
            _nts: NotThreadSafe,
        }
    }

    /// As [`Self::lock`], unless the task is killed meanwhile: `mmap_write_lock_killable()`.
    ///
    /// # Errors
    ///
    /// `EINTR` if it is.
    pub(crate) fn lock_killable(mm: &'a Mm) -> Result<Self> {
        // SAFETY: A reference to an mm is valid.
        to_result(unsafe { raw::helper_mmap_write_lock_killable(mm.as_raw()) })?;

        // INVARIANT: Just taken.
        Ok(Self {
            mm,
            _nts: NotThreadSafe,
        })
    }

    /// Takes the child's lock too, `mmap_write_lock_nested()`. Sleeps.
    ///
    /// # Errors
    ///
    /// `EDEADLK` if both are the same mm; the lock that was held is dropped.
    pub(crate) fn lock_child(self, child: &'a Mm) -> Result<MmapWriteGuardPair<'a>> {
        if self.mm.as_raw() == child.as_raw() {
            return Err(EDEADLK);
        }
        // SAFETY: A reference to an mm is valid.
        unsafe { raw::helper_mmap_write_lock_nested(child.as_raw()) };

        Ok(MmapWriteGuardPair {
            // INVARIANT: Just taken.
            child: Self {
                mm: child,
                _nts: NotThreadSafe,
            },
            parent: self,
        })
    }

    /// The proof, for as long as the guard is borrowed.
    pub(crate) fn proof(&mut self) -> WriteLocked<'_> {
        // SAFETY: By the type invariant the lock is held, and not dropped while it is borrowed.
        unsafe { WriteLocked::assume(NonNull::from(self.mm).cast()) }
    }
}

impl Drop for MmapWriteGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the lock is held.
        unsafe { raw::helper_mmap_write_unlock(self.mm.as_raw()) };
    }
}

/// Holds the mmap locks of a parent and its child, and drops the child's first.
///
/// # Examples
///
/// ```
/// # let (parent, child) = (crate::mm::TestMm::new()?, crate::mm::TestMm::new()?);
/// # let (parent, child) = (parent.mm(), child.mm());
/// use crate::mm::MmapWriteGuard;
///
/// let pair = MmapWriteGuard::lock(parent).lock_child(child)?;
/// assert!(child.mmap_read_trylock().is_none());
///
/// let guard = pair.unlock_child();
/// assert!(child.mmap_read_trylock().is_some());
/// assert!(parent.mmap_read_trylock().is_none());
/// # drop(guard);
/// ```
#[must_use = "the locks are dropped with it"]
pub(crate) struct MmapWriteGuardPair<'a> {
    // Fields are dropped in this order.
    child: MmapWriteGuard<'a>,
    parent: MmapWriteGuard<'a>,
}

impl<'a> MmapWriteGuardPair<'a> {
    /// The proof, for as long as the guards are borrowed.
    pub(crate) fn proof(&mut self) -> WriteLockedPair<'_> {
        WriteLockedPair {
            parent: self.parent.proof(),
            child: self.child.proof(),
        }
    }

    /// Drops the child's lock only.
    pub(crate) fn unlock_child(self) -> MmapWriteGuard<'a> {
        self.parent
    }
}
