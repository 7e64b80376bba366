// SPDX-License-Identifier: GPL-2.0

//! The mmap lock, held for writing: of one mm, or of a parent and its child.
//!
//! # Lock order
//!
//! The parent's mmap lock, then the child's, which lockdep takes for the same class and has to be
//! told apart (`SINGLE_DEPTH_NESTING`). Either may be dropped first. `dup_mmap()` takes them like
//! that. Lockdep cannot tell that from the same with parent and child swapped, so whoever takes a
//! second lock has to say that nobody else can wait for it (`lock_child`).
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
    pub(crate) unsafe fn assume(mm: NonNull<bindings::mm_struct>) -> Self {
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

/// The parent's mmap lock while its child is under construction: held for writing until it is let
/// go.
///
/// There is none but in a [`super::Building`]: once it is gone nothing says that the parent's VMAs
/// are there.
///
/// # Invariants
///
/// For `'a` the running task holds the parent's mmap lock for writing. If there is a call its
/// `recover` callback runs, and the lock is that of the call's parent.
pub(crate) struct ParentLock<'a> {
    call: Option<NonNull<raw::dup_mmap_call>>,
    _locked: PhantomData<&'a mut bindings::mm_struct>,
    _nts: NotThreadSafe,
}

impl<'a> ParentLock<'a> {
    /// The lock of the parent of a call.
    ///
    /// # Safety
    ///
    /// The type's invariants hold for the lifetime that the caller chooses, but that
    /// [`ParentLock::unlock`] ends it.
    pub(crate) unsafe fn of_call(call: NonNull<raw::dup_mmap_call>) -> Self {
        // SAFETY: The caller says that the call is valid, and its parent with it.
        unsafe { raw::helper_mmap_assert_write_locked((*call.as_ptr()).oldmm) };

        // INVARIANT: The caller says so.
        Self {
            call: Some(call),
            _locked: PhantomData,
            _nts: NotThreadSafe,
        }
    }

    /// Flushes the parent's TLBs and drops its lock, `dup_mmap_unlock_parent()`, and says whether
    /// it did: whoever lent the lock does it in the end if not.
    ///
    /// Where the flush or that of the child's cache walks the VMAs of the mm, the parent's have to
    /// stay.
    pub(super) fn unlock(self) -> bool {
        // SAFETY: Returns a constant.
        let walks_vmas = unsafe { raw::helper_flush_walks_vmas() };
        let Some(call) = self.call.filter(|_| !walks_vmas) else {
            return false;
        };

        // SAFETY: By the type invariants the lock is held and the callback runs. As `self` is gone
        // with it, nothing says any more that the lock is held.
        unsafe { raw::dup_mmap_unlock_parent(call.as_ptr()) };
        true
    }
}

#[cfg(CONFIG_KUNIT = "y")]
impl<'a> ParentLock<'a> {
    /// A test's, which keeps the lock.
    pub(crate) fn of_proof(_proof: WriteLocked<'a>) -> Self {
        // INVARIANT: The proof says so.
        Self {
            call: None,
            _locked: PhantomData,
            _nts: NotThreadSafe,
        }
    }
}

/// The proof for a parent and its child.
pub(crate) struct WriteLockedPair<'a> {
    parent: WriteLocked<'a>,
    child: WriteLocked<'a>,
}

impl<'a> WriteLockedPair<'a> {
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
    /// # Safety
    ///
    /// Nobody who holds the child's lock waits for another mmap lock: the child is under
    /// construction, and known to this task only.
    ///
    /// # Errors
    ///
    /// `EDEADLK` if both are the same mm; the lock that was held is dropped.
    pub(crate) unsafe fn lock_child(self, child: &'a Mm) -> Result<MmapWriteGuardPair<'a>> {
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
/// // SAFETY: Nobody else knows of the mm.
/// let pair = unsafe { MmapWriteGuard::lock(parent).lock_child(child) }?;
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
