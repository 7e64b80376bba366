// SPDX-License-Identifier: GPL-2.0

//! An mm for KUnit tests, with VMAs that map nothing.

use super::{
    child::{
        Building,
        ChildMm, //
    },
    lock::{
        MmapWriteGuard,
        MmapWriteGuardPair,
        ParentLock,
        WriteLocked, //
    },
    tree::{
        Empty,
        VmaTree, //
    },
    view::{
        self,
        AddrRange,
        Vma, //
    }, //
};
use core::ptr::NonNull;
use kernel::{
    bindings,
    error::to_result,
    ffi::{
        c_int,
        c_void, //
    },
    mm::{
        virt::{
            flags,
            vm_flags_t, //
        },
        MmWithUser, //
    },
    prelude::*,
    sync::aref::ARef, //
};

/// An mm that no task has.
///
/// # Invariants
///
/// Nobody else refers to the mm. The VMAs in its tree are those in `vmas`, beside marks and dangling
/// entries.
pub(crate) struct TestMm {
    mm: ARef<MmWithUser>,
    vmas: KVec<KBox<bindings::vm_area_struct>>,
}

impl TestMm {
    /// An mm without VMAs.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: The running task has credentials, which is all that it takes.
        let mm = NonNull::new(unsafe { bindings::mm_alloc() }).ok_or(ENOMEM)?;

        // INVARIANT: Just allocated.
        Ok(Self {
            // SAFETY: `MmWithUser` is transparent, and there is one user: us.
            mm: unsafe { ARef::from_raw(mm.cast()) },
            vmas: KVec::new(),
        })
    }

    /// The mm.
    pub(crate) fn mm(&self) -> &MmWithUser {
        &self.mm
    }

    /// Takes this mm's lock as that of a child, [`MmapWriteGuard::lock_child`].
    ///
    /// # Errors
    ///
    /// `EDEADLK` if the parent is the mm itself.
    pub(crate) fn lock_as_child<'a>(
        &'a self,
        parent: MmapWriteGuard<'a>,
    ) -> Result<MmapWriteGuardPair<'a>> {
        // SAFETY: By the type invariant nobody else knows of the mm, and this is no `Sync` type: no
        // other task can hold the lock.
        unsafe { parent.lock_child(&self.mm) }
    }

    /// The tree, if it is empty and the proof is that of this mm's lock.
    pub(crate) fn empty_tree<'a>(&'a self, proof: WriteLocked<'a>) -> Option<VmaTree<'a, Empty>> {
        if proof.mm().as_ptr() != self.mm.as_raw() {
            return None;
        }
        // SAFETY: By the type invariant nobody else knows of the mm.
        unsafe { VmaTree::<Empty>::new(proof) }
    }

    /// Adds a VMA of this mm's in `range`, over whatever is there.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn add_own(&mut self, range: AddrRange, flags: vm_flags_t) -> Result {
        self.add(self.mm.as_raw(), range, flags)
    }

    /// Adds a VMA that is not this mm's in `range`, over whatever is there.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn add_other(&mut self, range: AddrRange) -> Result {
        self.add(NonNull::dangling().as_ptr(), range, flags::NONE)
    }

    /// Adds an entry in `range` that nobody may look at, over whatever is there.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn add_dangling(&mut self, range: AddrRange) -> Result {
        self.store(
            range,
            NonNull::<bindings::vm_area_struct>::dangling()
                .as_ptr()
                .cast(),
        )
    }

    /// Adds a mark in `range`, over whatever is there.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn add_marker(&mut self, range: AddrRange) -> Result {
        self.store(range, view::ZERO_ENTRY as *mut c_void)
    }

    /// Lends the mm as if `fork()` had failed after it had copied `nr_copied` VMAs, at the VMA that
    /// starts at `failed` if there is one, and says how many VMAs a recovery would then take apart.
    ///
    /// No more than lends it, as these VMAs can be neither unmapped nor removed.
    ///
    /// # Errors
    ///
    /// `EDEADLK` if the parent is the mm itself.
    pub(crate) fn building<R>(
        &self,
        parent: &MmWithUser,
        nr_copied: c_int,
        failed: Option<usize>,
        f: impl FnOnce(&ChildMm<'_, Building<'_>>) -> R,
    ) -> Result<(R, usize)> {
        let mm = self.mm.as_raw();
        let mut guards = self.lock_as_child(MmapWriteGuard::lock(parent))?;
        let (parent, child) = guards.proof().split();
        // SAFETY: The mm is valid, and its lock held.
        unsafe { (*mm).__bindgen_anon_1.map_count = nr_copied };
        let failed = failed.and_then(|addr| {
            self.vmas
                .iter()
                // SAFETY: They are valid for as long as `self` is, and nobody else has them.
                .map(|vma| unsafe { Vma::from_raw(NonNull::from(&**vma)) })
                .find(|vma| vma.start() == addr)
        });
        let mut vmi = bindings::vma_iterator {
            // SAFETY: The mm is valid.
            mas: unsafe { view::ma_state(NonNull::from(&*self.mm).cast(), 0) },
        };
        let parent = ParentLock::of_proof(parent);
        // SAFETY: The tree may be anything that the test has made of it: all that is done with it is
        // to look, under the lock, and `f` looks at entries only if none is dangling. Nobody else
        // knows of the mm.
        let child = unsafe { ChildMm::from_raw(child, parent, NonNull::from(&mut vmi), failed) };
        let ret = f(&child);
        let (child, _) = child.let_parent_go();
        // The parent may free its VMAs now: nobody may look at this one any more.
        let dangling = NonNull::<bindings::vm_area_struct>::dangling();
        let was = failed.map(|vma| (vma.range(), vma.as_ptr()));
        let put = |entry: NonNull<bindings::vm_area_struct>, range| {
            // SAFETY: The mm is valid.
            let mut mas = unsafe { view::ma_state(NonNull::from(&*self.mm).cast(), 0) };

            view::reset_to(&mut mas, range);
            // SAFETY: The tree's lock is held for writing, and the range is that of an entry.
            unsafe { bindings::mas_store(&mut mas, entry.as_ptr().cast()) };
        };
        if let Some((range, _)) = was {
            put(dangling, range);
        }
        let found = child.nr_found();
        if let Some((range, vma)) = was {
            put(vma, range);
        }

        Ok((ret, found))
    }

    fn add(
        &mut self,
        mm: *mut bindings::mm_struct,
        range: AddrRange,
        vm_flags: vm_flags_t,
    ) -> Result {
        let mut vma = KBox::init(
            pin_init::init_zeroed::<bindings::vm_area_struct>(),
            GFP_KERNEL,
        )?;

        vma.vm_mm = mm;
        vma.__bindgen_anon_1.__bindgen_anon_1 =
            bindings::vm_area_struct__bindgen_ty_1__bindgen_ty_1 {
                vm_start: range.first(),
                vm_end: range.last().wrapping_add(1),
            };
        vma.__bindgen_anon_2.vm_flags = vm_flags;

        let entry = NonNull::from(&mut *vma);
        // Before the tree refers to it.
        self.vmas.push(vma, GFP_KERNEL)?;
        self.store(range, entry.as_ptr().cast())
    }

    fn store(&self, range: AddrRange, entry: *mut c_void) -> Result {
        let mut guard = MmapWriteGuard::lock(&self.mm);
        // SAFETY: The proof says that the mm is valid.
        let mut mas = unsafe { view::ma_state(guard.proof().mm(), range.first()) };

        mas.last = range.last();
        // SAFETY: The tree's lock, the mmap lock, is held for writing.
        to_result(unsafe { bindings::mas_store_gfp(&mut mas, entry, bindings::GFP_KERNEL) })
    }
}

impl Drop for TestMm {
    fn drop(&mut self) {
        let mut guard = MmapWriteGuard::lock(&self.mm);
        // SAFETY: The proof says that the mm is valid.
        let tree = unsafe { &raw mut (*guard.proof().mm().as_ptr()).__bindgen_anon_1.mm_mt };

        // SAFETY: The tree's lock is held for writing. Its VMAs map nothing, so nobody but the tree
        // refers to them; they are freed after it.
        unsafe { bindings::__mt_destroy(tree) };
    }
}
