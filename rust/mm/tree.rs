// SPDX-License-Identifier: GPL-2.0

//! An mm's maple tree under the mmap lock held for writing.
//!
//! A tree that others may walk without the lock is in *RCU mode*: what is taken out of it is freed
//! after a grace period. That of an mm under construction is not, as nobody walks it without.
//! Which it is, is a type: only a tree out of RCU mode can be destroyed, and there is no way but
//! duplication to come by one.
//!
//! C: [`lib/maple_tree.c`](srctree/lib/maple_tree.c)

use super::{
    lock::WriteLocked,
    view::{
        self,
        Entries, //
    }, //
};
use crate::bindings::raw;
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    error::to_result,
    prelude::*, //
};

/// State: there is nothing in the tree.
pub(crate) struct Empty(());

/// State: others may walk the tree under RCU, without the mmap lock. So is that of every live mm.
pub(crate) struct InRcu(());

/// State: nobody walks the tree, which is a duplicate, without the mmap lock, as yet.
pub(crate) struct NotInRcu(());

/// The maple tree of an mm, borrowed with the lock.
///
/// # Invariants
///
/// The tree is that of the locked mm, and as `S` says. If that is [`Empty`] or [`NotInRcu`] nobody
/// walks it without the mmap lock. Others may come by the mm nevertheless: by a page's reverse map,
/// or swapoff by the list of mms with swap.
pub(crate) struct VmaTree<'a, S> {
    locked: WriteLocked<'a>,
    _state: PhantomData<S>,
}

impl<'a, S> VmaTree<'a, S> {
    /// What the tree has that starts below `end`, VMAs of this mm and of another one.
    ///
    /// # Safety
    ///
    /// If there are VMAs of another mm, that one's lock is held for as long as `self` is borrowed.
    pub(super) unsafe fn entries_of_two(&self, end: usize) -> Entries<'_> {
        // SAFETY: The proof says that the lock is held; as for another one, the caller says so.
        unsafe { view::entries(self.mm(), end) }
    }

    /// The mm as C knows it.
    pub(super) fn mm(&self) -> NonNull<bindings::mm_struct> {
        self.locked.mm()
    }

    fn raw(&self) -> *mut bindings::maple_tree {
        // SAFETY: The proof says that the mm is valid.
        unsafe { &raw mut (*self.mm().as_ptr()).__bindgen_anon_1.mm_mt }
    }

    /// # Safety
    ///
    /// The tree is as `S` says.
    unsafe fn assume(locked: WriteLocked<'a>) -> Self {
        // INVARIANT: The caller says so.
        Self {
            locked,
            _state: PhantomData,
        }
    }
}

impl<'a> VmaTree<'a, NotInRcu> {
    /// The tree of a child under construction.
    ///
    /// # Safety
    ///
    /// `dup_mmap()` has duplicated it.
    pub(super) unsafe fn of_child(locked: WriteLocked<'a>) -> Self {
        // SAFETY: The first thing that `dup_mmap()` does is to take the duplicate out of RCU mode.
        unsafe { Self::assume(locked) }
    }

    /// Frees the nodes, and none of the VMAs that the tree refers to: `__mt_destroy()`.
    ///
    /// # Safety
    ///
    /// No entry is a VMA of the tree's own mm, unless it is freed already.
    pub(super) unsafe fn destroy(self) -> VmaTree<'a, Empty> {
        // SAFETY: The proof says that the tree's lock, the mmap lock, is held for writing. By the
        // type invariant nobody walks it without. The entries are not looked at.
        unsafe { bindings::__mt_destroy(self.raw()) };
        // SAFETY: Destroyed is empty.
        unsafe { VmaTree::assume(self.locked) }
    }
}

impl<'a> VmaTree<'a, InRcu> {
    /// What the tree has that starts below `end`.
    pub(crate) fn entries(&self, end: usize) -> Entries<'_> {
        // SAFETY: The tree of a live mm has VMAs of no other.
        unsafe { self.entries_of_two(end) }
    }

    /// The tree of a live mm; `None` if it is not in RCU mode: what is left of a `fork()` that
    /// failed, or of a process that has exited.
    pub(crate) fn new(locked: WriteLocked<'a>) -> Option<Self> {
        // SAFETY: The proof says that the mm is valid and locked.
        let in_rcu = unsafe { raw::helper_mm_mt_in_rcu(locked.mm().as_ptr()) };

        // SAFETY: Just asked.
        in_rcu.then(|| unsafe { Self::assume(locked) })
    }
}

impl<'a> VmaTree<'a, Empty> {
    /// The tree of a new mm; `None` if it has any VMAs, or is not in RCU mode.
    ///
    /// # Safety
    ///
    /// Nobody else can come by the mm for `'a`: it was just allocated. Who does needs no mmap lock
    /// to walk its tree (`lock_vma_under_rcu()`), and would find another mm's VMAs in a duplicate.
    pub(crate) unsafe fn new(locked: WriteLocked<'a>) -> Option<Self> {
        // SAFETY: The proof says that the mm is valid and locked.
        let in_rcu = unsafe { raw::helper_mm_mt_in_rcu(locked.mm().as_ptr()) };
        // SAFETY: The proof says that the lock is held; only a duplicate has another mm's VMAs.
        let mut entries = unsafe { view::entries(locked.mm(), usize::MAX) };

        // SAFETY: Just looked.
        (in_rcu && entries.next().is_none()).then(|| unsafe { Self::assume(locked) })
    }

    /// Lends the entries of a duplicate of the parent's tree, in which every entry is the parent's:
    /// `__mt_dup()`, with the duplicate taken out of RCU mode as `dup_mmap()` does it.
    ///
    /// It is destroyed before this returns: the tree of an mm that others can see must have no VMA of
    /// another one.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut parent, child) = (crate::mm::TestMm::new()?, crate::mm::TestMm::new()?);
    /// # parent.add_own(crate::mm::view::AddrRange::new(0, 0xfffff).ok_or(EINVAL)?, 0)?;
    /// # let (parent, child) = (parent.mm(), child.mm());
    /// use crate::mm::{view::Entry, Empty, InRcu, MmapWriteGuard, VmaTree};
    ///
    /// // SAFETY: Nobody else knows of the mm.
    /// let mut pair = unsafe { MmapWriteGuard::lock(parent).lock_child(child) }?;
    /// let (parent, child) = pair.proof().split();
    /// let parent = VmaTree::<InRcu>::new(parent).ok_or(EINVAL)?;
    /// // SAFETY: The mm is new, and nobody else knows of it.
    /// let child = unsafe { VmaTree::<Empty>::new(child) }.ok_or(EBUSY)?;
    ///
    /// let all_parents = child.duplicate(&parent, |mut entries| {
    ///     entries.all(|entry| matches!(entry, Entry::Other(_)))
    /// })?;
    /// assert!(all_parents);
    /// ```
    ///
    /// # Errors
    ///
    /// `ENOMEM` if there is not enough for the nodes.
    pub(crate) fn duplicate<R>(
        self,
        parent: &VmaTree<'_, InRcu>,
        f: impl FnOnce(Entries<'_>) -> R,
    ) -> Result<R> {
        let mm = self.mm().as_ptr();
        // SAFETY: The proofs say that the locks of both trees, the mmap locks, are held.
        to_result(unsafe { bindings::__mt_dup(parent.raw(), self.raw(), bindings::GFP_KERNEL) })?;
        // SAFETY: The lock is held for writing. Nobody walks the tree: nobody knows of the mm.
        unsafe { raw::helper_mm_mt_set_in_rcu(mm, false) };
        // SAFETY: Just made so.
        let tree = unsafe { VmaTree::of_child(self.locked) };
        // SAFETY: The parent's tree is borrowed with its lock.
        let ret = f(unsafe { tree.entries_of_two(usize::MAX) });

        // SAFETY: The entries are the parent's, as `f` could change none.
        unsafe { tree.destroy() };
        // SAFETY: The lock is held for writing.
        unsafe { raw::helper_mm_mt_set_in_rcu(mm, true) };
        Ok(ret)
    }
}
