// SPDX-License-Identifier: GPL-2.0

//! The kernel's callbacks during `dup_mmap()`: C comes in, safe types go on.
//!
//! C header: [`include/linux/dup_mmap.h`](srctree/include/linux/dup_mmap.h)

use crate::{
    bindings::{
        raw,
        Point, //
    },
    mm::{
        Building,
        ChildMm,
        MmFlags,
        TornDown,
        Vma,
        WriteLockedPair, //
    },
    recovery::Report, //
};
use core::{
    marker::PhantomData,
    mem::{
        align_of,
        size_of, //
    },
    ptr::NonNull, //
};
use kernel::{
    bindings,
    error::to_result,
    ffi::{
        c_int,
        c_void, //
    },
    mm::Mm,
    module::this_module,
    prelude::*,
    sync::Arc, //
};

/// Somebody who watches every `dup_mmap()` of the machine.
///
/// All methods run in the forking task and may sleep. Forks run at the same time.
pub(crate) trait Watcher: Send + Sync + 'static {
    /// What it keeps about one fork, from [`Watcher::begin`] to [`Watcher::end`].
    type Fork;

    /// A fork begins. No lock is held.
    fn begin(&self) -> Self::Fork;

    /// The fork is about to take the step `point` for the parent's `vma`, if the step has one.
    ///
    /// Runs under the locks that the step is taken with.
    ///
    /// # Errors
    ///
    /// What the step is to fail with, instead of being taken.
    fn point(&self, fork: &mut Self::Fork, point: Point, vma: Option<Vma<'_>>) -> Result;

    /// The fork has failed and left a half-built `child`. Both mmap locks are write-held.
    ///
    /// Must not allocate.
    fn recover<'a>(&self, fork: &mut Self::Fork, child: ChildMm<'a, Building>) -> Recovered<'a>;

    /// The fork is over, with `result`, and has dropped its locks.
    fn end(&self, fork: Self::Fork, result: Result, aftermath: &Aftermath);
}

/// What [`Watcher::recover`] did: there is no other way to let go of a half-built mm.
pub(crate) enum Recovered<'a> {
    /// It emptied the mm.
    TornDown(
        #[expect(dead_code, reason = "what counts is that there is one")] TornDown<'a>,
        Report,
    ),
    /// It left the mm as it was: the kernel's own recovery is to run.
    Declined(
        #[expect(dead_code, reason = "what counts is that nobody else has it")]
        ChildMm<'a, Building>,
    ),
}

/// Whose recovery ran: what happened, and not what was asked for.
#[derive(Clone, Copy)]
pub(crate) struct RanBy {
    /// [`Watcher::recover`] came back with [`Recovered::TornDown`].
    pub(crate) module: bool,
    /// The kernel says that its own has run.
    pub(crate) kernel: bool,
}

/// What a fork has left behind when it is over.
pub(crate) struct Aftermath {
    /// Whose recovery ran, if any.
    pub(crate) ran_by: RanBy,
    /// What it has undone; zero if none ran.
    pub(crate) report: Report,
    /// The flags of the child's mm.
    pub(crate) flags: MmFlags,
}

/// What the hook and the watcher keep about one fork.
struct Private<F> {
    fork: F,
    torn_down: bool,
}

/// A [`Watcher`] that is being called. Dropping it waits for the forks that are under way.
///
/// # Invariants
///
/// The callbacks for `W` are registered with a pointer that `_watcher` keeps valid.
pub(crate) struct Registration<W: Watcher> {
    _watcher: Arc<W>,
}

impl<W: Watcher> Registration<W> {
    /// Has `watcher` called from now on.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the kernel has a watcher already.
    pub(crate) fn new(watcher: Arc<W>) -> Result<Self> {
        // SAFETY: The callbacks take `data` for a `W`, which it is until the drop unregisters them.
        to_result(unsafe {
            raw::dup_mmap_register_ops(
                &Callbacks::<W>::OPS,
                Arc::as_ptr(&watcher).cast_mut().cast::<c_void>(),
            )
        })?;
        // INVARIANT: Just registered.
        Ok(Self { _watcher: watcher })
    }
}

impl<W: Watcher> Drop for Registration<W> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant they are registered. When this returns no callback runs.
        unsafe { raw::dup_mmap_unregister_ops(&Callbacks::<W>::OPS) };
    }
}

struct Callbacks<W>(PhantomData<W>);

impl<W: Watcher> Callbacks<W> {
    const OPS: raw::dup_mmap_ops = raw::dup_mmap_ops {
        owner: this_module::<crate::LocalModule>().as_ptr(),
        begin: Some(Self::begin),
        point: Some(Self::point),
        recover: Some(Self::recover),
        end: Some(Self::end),
    };

    /// Where the call keeps what is ours.
    ///
    /// # Safety
    ///
    /// `call` is what the kernel passed to a callback.
    unsafe fn private(call: *mut raw::dup_mmap_call) -> *mut Private<W::Fork> {
        const {
            assert!(size_of::<Private<W::Fork>>() <= raw::DUP_MMAP_PRIVATE_SIZE as usize);
            assert!(align_of::<Private<W::Fork>>() <= align_of::<u64>());
        }
        // SAFETY: The caller says that `call` is valid.
        unsafe { &raw mut (*call).private }.cast()
    }

    /// # Safety
    ///
    /// `call` is what the kernel passed to a callback.
    unsafe fn watcher<'a>(call: *mut raw::dup_mmap_call) -> &'a W {
        // SAFETY: `Registration::new` registered a pointer to a `W`, and its drop waits for this
        // callback before it lets go of it.
        unsafe { &*(*call).data.cast::<W>() }
    }

    /// # Safety
    ///
    /// For `dup_mmap_call_begin()` only.
    unsafe extern "C" fn begin(call: *mut raw::dup_mmap_call) {
        // SAFETY: The kernel passes a valid call.
        let watcher = unsafe { Self::watcher(call) };
        // SAFETY: It is the call that the kernel passed.
        let private = unsafe { Self::private(call) };

        // SAFETY: There is room for it, as `Self::private` asserts, and this call's is the only use.
        unsafe {
            private.write(Private {
                fork: watcher.begin(),
                torn_down: false,
            })
        };
    }

    /// # Safety
    ///
    /// For `dup_mmap_point()` only.
    unsafe extern "C" fn point(
        call: *mut raw::dup_mmap_call,
        point: raw::dup_mmap_point,
        vma: *mut bindings::vm_area_struct,
    ) -> c_int {
        // SAFETY: The kernel passes a valid call.
        let watcher = unsafe { Self::watcher(call) };
        // SAFETY: It is the call that the kernel passed.
        let private = unsafe { Self::private(call) };
        // SAFETY: `begin` has initialised it, and callbacks of one call do not overlap.
        let private = unsafe { &mut *private };
        let Some(point) = Point::from_raw(point) else {
            return 0;
        };
        // SAFETY: The kernel passes null or a VMA of the parent, whose mmap lock is write-held.
        let vma = NonNull::new(vma).map(|vma| unsafe { Vma::from_raw(vma) });

        match watcher.point(&mut private.fork, point, vma) {
            Ok(()) => 0,
            Err(error) => error.to_errno(),
        }
    }

    /// # Safety
    ///
    /// For `dup_mmap()` only.
    unsafe extern "C" fn recover(
        call: *mut raw::dup_mmap_call,
        vmi: *mut bindings::vma_iterator,
        failed: *mut bindings::vm_area_struct,
        _error: c_int,
    ) -> bool {
        // SAFETY: The kernel passes a valid call.
        let watcher = unsafe { Self::watcher(call) };
        // SAFETY: It is the call that the kernel passed.
        let private = unsafe { Self::private(call) };
        // SAFETY: `begin` has initialised it, and callbacks of one call do not overlap.
        let private = unsafe { &mut *private };
        // SAFETY: The kernel passes a valid call, and does not write to this field any more.
        let parent = unsafe { (*call).oldmm };
        // SAFETY: The call is valid, and this field, too, stays as it was when the fork began.
        let child = unsafe { (*call).mm };
        let (Some(parent), Some(child), Some(vmi)) = (
            NonNull::new(parent),
            NonNull::new(child),
            NonNull::new(vmi), //
        ) else {
            return false;
        };
        // SAFETY: Both mmap locks are write-held, by the running task, until this returns.
        let locks = unsafe { WriteLockedPair::assume(parent, child) };
        // SAFETY: The kernel passes null or a VMA of the parent.
        let failed = NonNull::new(failed).map(|vma| unsafe { Vma::from_raw(vma) });
        // SAFETY: The kernel passes the iterator over the duplicated tree that copied the VMAs, and
        // the entry it stopped at.
        let child = unsafe { ChildMm::from_raw(locks, vmi, failed) };

        match watcher.recover(&mut private.fork, child) {
            Recovered::TornDown(_, report) => {
                private.torn_down = true;
                // SAFETY: The call is valid, and the field is for the recovery that has run to fill.
                unsafe { (*call).recovery = report.into() };
                true
            }
            Recovered::Declined(_) => false,
        }
    }

    /// # Safety
    ///
    /// For `dup_mmap_call_end()` only.
    unsafe extern "C" fn end(call: *mut raw::dup_mmap_call, retval: c_int) {
        // SAFETY: The kernel passes a valid call.
        let watcher = unsafe { Self::watcher(call) };
        // SAFETY: It is the call that the kernel passed.
        let private = unsafe { Self::private(call) };
        // SAFETY: `begin` has initialised it, and nobody uses it after this.
        let Private { fork, torn_down } = unsafe { private.read() };
        // SAFETY: The call is valid; whichever recovery ran has filled this in, or it is zero.
        let report = unsafe { (*call).recovery };
        // SAFETY: The call is valid, and the field false unless `dup_mmap_recover()` has set it.
        let kernel = unsafe { (*call).kernel_recovered };
        // SAFETY: The call is valid, and this field is as it was when the fork began.
        let child = unsafe { (*call).mm };
        // SAFETY: The fork's own reference to the child's mm is dropped after this returns.
        let child = unsafe { Mm::from_raw(child) };
        let aftermath = Aftermath {
            ran_by: RanBy {
                module: torn_down,
                kernel,
            },
            report: report.into(),
            flags: MmFlags::of(child),
        };

        watcher.end(fork, to_result(retval), &aftermath);
    }
}
