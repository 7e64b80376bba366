// SPDX-License-Identifier: GPL-2.0

//! Reading the VMAs of an mm.
//!
//! Needs the `kernel` crate and nothing else, so that any module can include it by its path; see
//! `Documentation/examples/print_vmas.rs`. Not every module uses all of it.
//!
//! An mm's VMAs are in its maple tree, `mm_mt`, which the mmap lock protects: it may be read with
//! the lock held for reading or writing. Each type here borrows from the one that proves that.
//!
//! C headers: [`include/linux/mm_types.h`](srctree/include/linux/mm_types.h),
//! [`include/linux/mmap_lock.h`](srctree/include/linux/mmap_lock.h)

#![allow(dead_code)]

mod entry;
mod range;
mod vma;

#[allow(unused_imports)]
pub(crate) use entry::{
    entries,
    entry_at,
    find,
    find_entry,
    find_vma,
    ma_state,
    reset,
    reset_to,
    unread_entries,
    Entries,
    Entry,
    Found,
    FoundVma,
    Unread,
    UnreadEntries,
    ZERO_ENTRY, //
};
pub(crate) use range::AddrRange;
pub(crate) use vma::Vma;

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    mm::{
        MmWithUser,
        MmapReadGuard, //
    },
    prelude::*,
    sync::aref::ARef,
    task::{
        Pid,
        Task, //
    }, //
};

/// The mm of a process, with its VMAs held as they are.
///
/// Holds the mmap lock for reading until it is dropped.
///
/// # Examples
///
/// ```
/// # let mut test = crate::mm::TestMm::new()?;
/// # test.add_own(crate::mm::view::AddrRange::new(0, 0xfffff).ok_or(EINVAL)?, 0)?;
/// # let mm = test.mm();
/// use crate::mm::view::MmView;
///
/// let view = MmView::lock(mm);
/// let mut pages = 0;
///
/// for vma in view.vmas() {
///     assert!(vma.start() < vma.end());
///     pages += vma.nr_pages();
/// }
/// pr_info!("{pages} pages mapped\n");
/// # assert!(pages > 0);
/// ```
///
/// # Invariants
///
/// The mm is `mm`, and `_guard` is a guard of its mmap lock.
#[must_use = "the lock is dropped with it"]
pub(crate) struct MmView<'a> {
    mm: &'a MmWithUser,
    _guard: MmapReadGuard<'a>,
}

impl<'a> MmView<'a> {
    /// Takes the mmap lock of `mm` for reading, `mmap_read_lock()`. Sleeps while a writer has it.
    pub(crate) fn lock(mm: &'a MmWithUser) -> Self {
        // INVARIANT: The guard is this mm's.
        Self {
            mm,
            _guard: mm.mmap_read_lock(),
        }
    }

    /// Takes it if that takes no waiting, `mmap_read_trylock()`.
    pub(crate) fn try_lock(mm: &'a MmWithUser) -> Option<Self> {
        // INVARIANT: The guard is this mm's.
        mm.mmap_read_trylock()
            .map(|guard| Self { mm, _guard: guard })
    }

    /// What the tree has, and not what that refers to: with other mms' VMAs in it, these may be
    /// freed.
    pub(crate) fn unread_entries(&self) -> UnreadEntries<'_> {
        // SAFETY: By the type invariants the mmap lock is held for as long as `self` is borrowed.
        unsafe { unread_entries(self.raw(), 0) }
    }

    /// What `find_vma()` would return for `addr`, in a tree like that.
    pub(crate) fn find_vma(&self, addr: usize) -> Option<FoundVma> {
        // SAFETY: By the type invariants the mmap lock is held.
        unsafe { find_vma(self.raw(), addr) }
    }

    /// The VMAs in the order of their addresses, as `for_each_vma()` goes through them.
    pub(crate) fn vmas(&self) -> Vmas<'_> {
        Vmas(self.entries(usize::MAX))
    }

    /// What the tree has that starts below `end`, VMAs or not.
    pub(crate) fn entries(&self, end: usize) -> Entries<'_> {
        // SAFETY: By the type invariants the mmap lock is held for as long as `self` is borrowed.
        unsafe { entries(self.raw(), end) }
    }

    /// What the tree has at `addr`.
    pub(crate) fn entry_at(&self, addr: usize) -> Entry<'_> {
        // SAFETY: By the type invariants the mmap lock is held for as long as `self` is borrowed.
        unsafe { entry_at(self.raw(), addr) }
    }

    /// The VMA that `addr` is in, like `vma_lookup()`.
    pub(crate) fn vma_at(&self, addr: usize) -> Option<Vma<'_>> {
        match self.entry_at(addr) {
            Entry::Own(vma) => Some(vma),
            _ => None,
        }
    }

    fn raw(&self) -> NonNull<bindings::mm_struct> {
        NonNull::from(self.mm).cast()
    }
}

/// The VMAs of an mm, in the order of their addresses.
pub(crate) struct Vmas<'a>(Entries<'a>);

impl<'a> Iterator for Vmas<'a> {
    type Item = Vma<'a>;

    fn next(&mut self) -> Option<Vma<'a>> {
        self.0.find_map(|entry| match entry {
            Entry::Own(vma) => Some(vma),
            // A live mm has no other entries but for a moment, and then not for readers.
            Entry::Other(_) | Entry::Marker(_) | Entry::Empty(_) => None,
        })
    }
}

/// A reference to the mm of the process that the reader's pid namespace knows as `pid`.
///
/// Asks nobody for permission: C does that with `ptrace_may_access()`.
///
/// # Examples
///
/// ```no_run
/// use crate::mm::view::{mm_of_pid, MmView};
///
/// let init = mm_of_pid(1)?;
/// for vma in MmView::lock(&init).vmas() {
///     pr_info!("{:x}-{:x} {}\n", vma.start(), vma.end(), vma.perms());
/// }
/// ```
///
/// # Errors
///
/// `ESRCH` if there is no such process, or it has no mm: a kernel thread, or one that has exited.
///
/// C: `find_get_pid()`, `get_pid_task()`, `get_task_mm()`
pub(crate) fn mm_of_pid(pid: Pid) -> Result<ARef<MmWithUser>> {
    // SAFETY: Any number may be looked up.
    let pid = unsafe { bindings::find_get_pid(pid) };
    // SAFETY: Null, or a reference of ours.
    let task = unsafe { bindings::get_pid_task(pid, bindings::pid_type_PIDTYPE_PID) };
    // SAFETY: `put_pid()` takes null, or gives back the reference that `find_get_pid()` took; the
    // task has its own.
    unsafe { bindings::put_pid(pid) };

    let task = NonNull::new(task).ok_or(ESRCH)?;
    // SAFETY: `Task` is transparent, and the reference is ours to give away.
    let task: ARef<Task> = unsafe { ARef::from_raw(task.cast()) };
    // SAFETY: The task is valid while it is referenced.
    let mm = unsafe { bindings::get_task_mm(task.as_ptr()) };
    let mm = NonNull::new(mm).ok_or(ESRCH)?;

    // SAFETY: `MmWithUser` is transparent, and `get_task_mm()` counts a user for us.
    Ok(unsafe { ARef::from_raw(mm.cast()) })
}

/// Shorthand for what the lifetimes here mean: the mmap lock of an mm is held at least for reading.
type Locked<'a> = PhantomData<&'a bindings::mm_struct>;
