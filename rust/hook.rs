// SPDX-License-Identifier: GPL-2.0

//! The kernel's callbacks during `dup_mmap()`: C comes in, safe types go on.
//!
//! C header: [`include/linux/dup_mmap.h`](srctree/include/linux/dup_mmap.h)

mod point;

pub(crate) use point::{
    PerPoint,
    Point, //
};

use crate::{
    bindings::raw,
    mm::{
        Building,
        ChildMm,
        Extent,
        Left,
        Leftover,
        MmFlags,
        ParentLock,
        Report,
        TornDown,
        Vma,
        WriteLocked, //
    },
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
    mm::{
        Mm,
        MmWithUser, //
    },
    prelude::*,
    sync::Arc, //
};

/// Somebody who watches the calls of `dup_mmap()`.
///
/// All methods run in the forking task, and all but [`Watcher::wants`] may sleep. Calls run at the
/// same time. The task holds `dup_mmap_sem` for reading, so who takes long makes
/// `uprobe_register()` wait, and behind it every other `fork()`.
pub(crate) trait Watcher: Send + Sync + 'static {
    /// What it keeps about one call, from [`Watcher::begin`] or [`Watcher::failed`] to
    /// [`Watcher::end`].
    type Call;

    /// Whether it wants to see the steps of the call that the running task is about to make.
    ///
    /// Asked in every `fork()` of the machine: takes no lock, and writes nothing.
    fn wants(&self) -> bool;

    /// A call begins whose steps it wants. No mmap lock is held.
    fn begin(&self) -> Self::Call;

    /// A call whose steps it did not want has failed at `point`, for the parent's `vma` if the step
    /// has one, which has the ordinal `vma_index`.
    fn failed(&self, point: Point, vma: Option<Vma<'_>>, vma_index: u32) -> Self::Call;

    /// The call is about to take the step `point` for the parent's `vma`, if the step has one.
    ///
    /// Runs under the locks that the step is taken with.
    ///
    /// # Errors
    ///
    /// What the step is to fail with, instead of being taken.
    fn enter(&self, call: &mut Self::Call, point: Point, vma: Option<Vma<'_>>) -> Result;

    /// The step is over, be it well or not.
    fn leave(&self, call: &mut Self::Call);

    /// The call has failed and left a half-built `child`. Both mmap locks are write-held.
    ///
    /// Must not allocate.
    fn recover<'a>(&self, call: &mut Self::Call, child: ChildMm<'a, Building<'a>>)
        -> Recovered<'a>;

    /// The half-built mm is recovered, whoever did that. The mmap lock of `child` is still
    /// write-held.
    fn recovered(&self, call: &mut Self::Call, child: &Mm);

    /// The call is over, with `result`, and has dropped its locks. `leftover` is the child's mm if
    /// it is still to be taken apart.
    fn end(
        &self,
        call: Self::Call,
        result: Result,
        aftermath: &Aftermath,
        child: &MmWithUser,
        leftover: Option<Leftover<&MmWithUser>>,
    );
}

/// What [`Watcher::recover`] did: there is no other way to let go of a half-built mm.
pub(crate) enum Recovered<'a> {
    /// It emptied the mm.
    TornDown(TornDown<'a>),
    /// It left the mm as it was, to take it apart later.
    Left(Left<'a>),
    /// It left the mm as it was: the kernel's own recovery is to run.
    Declined(
        #[expect(dead_code, reason = "what counts is that nobody else has it")]
        ChildMm<'a, Building<'a>>,
    ),
}

/// Whose recovery ran: what happened, and not what was asked for.
#[derive(Clone, Copy)]
pub(crate) struct RanBy {
    /// [`Watcher::recover`] came back with [`Recovered::TornDown`].
    pub(crate) module: bool,
    /// The kernel says that its own has run.
    pub(crate) kernel: bool,
    /// It came back with [`Recovered::Left`].
    pub(crate) left: Option<Unstable>,
}

/// Whether an mm that was left says that it is not to be used.
#[derive(Clone, Copy)]
pub(crate) struct Unstable(pub(crate) bool);

/// What a call has left behind when it is over.
pub(crate) struct Aftermath {
    /// Whose recovery ran, if any.
    pub(crate) ran_by: RanBy,
    /// What it has undone; nothing if none ran.
    pub(crate) report: Report,
    /// The flags of the child's mm.
    pub(crate) flags: MmFlags,
}

/// What the hook and the watcher keep about one call.
struct Private<C> {
    call: C,
    /// What the module's own recovery has undone, if it has run.
    report: Option<Report>,
    /// How far the copied VMAs of an mm go that was left.
    left: Option<(Extent, Unstable)>,
}

/// A [`Watcher`] that is being called. Dropping it waits for the calls that are under way.
///
/// # Invariants
///
/// `watcher` is registered, and its `data` is what `_data` keeps valid.
pub(crate) struct Registration<W: Watcher> {
    watcher: Pin<KBox<raw::dup_mmap_watcher>>,
    _data: Arc<W>,
}

// SAFETY: Any task may unregister, and a `W` may be dropped by any.
unsafe impl<W: Watcher> Send for Registration<W> {}
// SAFETY: `&Registration` gives access to nothing.
unsafe impl<W: Watcher> Sync for Registration<W> {}

impl<W: Watcher> Registration<W> {
    /// Has `data` called from now on.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the kernel has a watcher already, or `ENOMEM`.
    pub(crate) fn new(data: Arc<W>) -> Result<Self> {
        let watcher = KBox::pin(
            raw::dup_mmap_watcher {
                ops: &Callbacks::<W>::OPS,
                data: Arc::as_ptr(&data).cast_mut().cast::<c_void>(),
            },
            GFP_KERNEL,
        )?;

        // SAFETY: The callbacks take `data` for a `W`, which it is, and both stay where they are
        // until the drop has unregistered them.
        to_result(unsafe { raw::dup_mmap_register(&*watcher) })?;
        // INVARIANT: Just registered.
        Ok(Self {
            watcher,
            _data: data,
        })
    }
}

impl<W: Watcher> Drop for Registration<W> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant it is registered. When this returns no callback runs.
        unsafe { raw::dup_mmap_unregister(&*self.watcher) };
    }
}

struct Callbacks<W>(PhantomData<W>);

impl<W: Watcher> Callbacks<W> {
    const OPS: raw::dup_mmap_ops = raw::dup_mmap_ops {
        wants: Some(Self::wants),
        begin: Some(Self::begin),
        failed: Some(Self::failed),
        enter: Some(Self::enter),
        leave: Some(Self::leave),
        recover: Some(Self::recover),
        recovered: Some(Self::recovered),
        end: Some(Self::end),
    };

    /// Where the call keeps what is ours.
    ///
    /// # Safety
    ///
    /// `call` is what the kernel passed to a callback.
    unsafe fn private(call: *mut raw::dup_mmap_call) -> *mut Private<W::Call> {
        const {
            assert!(size_of::<Private<W::Call>>() <= raw::DUP_MMAP_PRIVATE_SIZE as usize);
            assert!(align_of::<Private<W::Call>>() <= align_of::<u64>());
        }
        // SAFETY: The caller says that `call` is valid.
        unsafe { &raw mut (*call).private }.cast()
    }

    /// # Safety
    ///
    /// `call` is what the kernel passed to a callback.
    unsafe fn watcher<'a>(call: *mut raw::dup_mmap_call) -> &'a W {
        // SAFETY: The caller says that `call` is valid, and the kernel has set this field to what
        // `Registration::new` registered, whose drop waits for this callback.
        let watcher = unsafe { &*(*call).watcher };

        // SAFETY: It was registered with a pointer to a `W`, which is kept as long.
        unsafe { &*watcher.data.cast::<W>() }
    }

    /// # Safety
    ///
    /// For `dup_mmap_watched()` only.
    unsafe extern "C" fn wants(data: *mut c_void) -> bool {
        // SAFETY: The kernel passes what `Registration::new` registered, in an SRCU read section
        // that the registration's drop waits for.
        let watcher = unsafe { &*data.cast::<W>() };

        watcher.wants()
    }

    /// # Safety
    ///
    /// For `dup_mmap_asking()` only.
    unsafe extern "C" fn begin(call: *mut raw::dup_mmap_call) {
        // SAFETY: The kernel passes a valid call.
        let watcher = unsafe { Self::watcher(call) };
        // SAFETY: It is the call that the kernel passed.
        let private = unsafe { Self::private(call) };

        // SAFETY: There is room for it, as `Self::private` asserts, and this call's is the only use.
        unsafe {
            private.write(Private {
                call: watcher.begin(),
                report: None,
                left: None,
            })
        };
    }

    /// # Safety
    ///
    /// For `dup_mmap_call_begin()` only.
    unsafe extern "C" fn failed(call: *mut raw::dup_mmap_call, step: *const raw::dup_mmap_step) {
        // SAFETY: The kernel passes a valid call.
        let watcher = unsafe { Self::watcher(call) };
        // SAFETY: It is the call that the kernel passed.
        let private = unsafe { Self::private(call) };
        // SAFETY: The kernel passes a valid step, which nobody changes meanwhile.
        let step = unsafe { &*step };
        // The kernel passes one of its enum, which ours is generated from.
        let point = Point::from_raw(step.point).unwrap_or(Point::FIRST);
        // SAFETY: The kernel passes null or a VMA of the parent, whose mmap lock is write-held.
        let vma = NonNull::new(step.vma).map(|vma| unsafe { Vma::from_raw(vma) });

        // SAFETY: There is room for it, as `Self::private` asserts, and `begin` has not run for this
        // call, so nothing is overwritten.
        unsafe {
            private.write(Private {
                call: watcher.failed(point, vma, step.vma_index),
                report: None,
                left: None,
            })
        };
    }

    /// # Safety
    ///
    /// For `dup_mmap_enter()` only.
    unsafe extern "C" fn enter(
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

        match watcher.enter(&mut private.call, point, vma) {
            Ok(()) => 0,
            Err(error) => error.to_errno(),
        }
    }

    /// # Safety
    ///
    /// For `dup_mmap_leave()` only.
    unsafe extern "C" fn leave(call: *mut raw::dup_mmap_call) {
        // SAFETY: The kernel passes a valid call.
        let watcher = unsafe { Self::watcher(call) };
        // SAFETY: It is the call that the kernel passed.
        let private = unsafe { Self::private(call) };
        // SAFETY: `begin` has initialised it, and `enter` of the same step has returned.
        let private = unsafe { &mut *private };

        watcher.leave(&mut private.call);
    }

    /// # Safety
    ///
    /// For `dup_mmap_fail()` only.
    unsafe extern "C" fn recover(
        call: *mut raw::dup_mmap_call,
        vmi: *mut bindings::vma_iterator,
        failed: *mut bindings::vm_area_struct,
    ) -> bool {
        // SAFETY: The kernel passes a valid call.
        let watcher = unsafe { Self::watcher(call) };
        // SAFETY: It is the call that the kernel passed.
        let private = unsafe { Self::private(call) };
        // SAFETY: `begin` or `failed` has initialised it, and callbacks of one call do not overlap.
        let private = unsafe { &mut *private };
        // SAFETY: The kernel passes a valid call, and does not write to this field any more.
        let child = unsafe { (*call).mm };
        let (Some(call), Some(child), Some(vmi)) = (
            NonNull::new(call),
            NonNull::new(child),
            NonNull::new(vmi), //
        ) else {
            return false;
        };
        // SAFETY: The child's mmap lock is write-held by the running task until after this returns.
        let child = unsafe { WriteLocked::assume(child) };
        // SAFETY: This is the callback in which the parent may be let go; its lock is write-held
        // until that is done, or else until after this returns.
        let parent = unsafe { ParentLock::of_call(call) };
        // SAFETY: The kernel passes null or a VMA of the parent, whose lock is held until
        // `from_raw` has taken over.
        let failed = NonNull::new(failed).map(|vma| unsafe { Vma::from_raw(vma) });
        // SAFETY: The kernel passes the iterator over the duplicated tree that copied the VMAs, and
        // the entry it stopped at.
        let child = unsafe { ChildMm::from_raw(child, parent, vmi, failed) };

        match watcher.recover(&mut private.call, child) {
            Recovered::TornDown(torn_down) => {
                private.report = Some(torn_down.report());
                true
            }
            Recovered::Left(left) => {
                private.left = Some((left.extent(), Unstable(left.is_unstable())));
                true
            }
            Recovered::Declined(_) => false,
        }
    }

    /// # Safety
    ///
    /// For `dup_mmap_fail()` only.
    unsafe extern "C" fn recovered(call: *mut raw::dup_mmap_call) {
        // SAFETY: The kernel passes a valid call.
        let watcher = unsafe { Self::watcher(call) };
        // SAFETY: It is the call that the kernel passed.
        let private = unsafe { Self::private(call) };
        // SAFETY: `begin` or `failed` has initialised it, and `recover` has returned.
        let private = unsafe { &mut *private };
        // SAFETY: The kernel passes a valid call, and does not write to this field any more.
        let child = unsafe { (*call).mm };
        // SAFETY: `fork()` keeps the child's mm until after `end`.
        let child = unsafe { Mm::from_raw(child) };

        watcher.recovered(&mut private.call, child);
    }

    /// # Safety
    ///
    /// For `dup_mmap_call_end()` only.
    unsafe extern "C" fn end(call: *mut raw::dup_mmap_call, retval: c_int) {
        // SAFETY: The kernel passes a valid call.
        let watcher = unsafe { Self::watcher(call) };
        // SAFETY: It is the call that the kernel passed.
        let private = unsafe { Self::private(call) };
        // SAFETY: `begin` or `failed` has initialised it, and nobody uses it after this.
        let Private {
            call: ours,
            report,
            left,
        } = unsafe { private.read() };
        // SAFETY: The call is valid, and the field false unless the kernel's own recovery has run.
        let kernel = unsafe { (*call).kernel_recovered };
        // SAFETY: The call is valid; the kernel's own recovery has filled this in, or it is zero.
        let by_kernel = unsafe { (*call).recovery };
        // SAFETY: The call is valid, and this field is as it was when the call began.
        let child = unsafe { (*call).mm };
        // SAFETY: `fork()` is a user of the child's mm until after this returns.
        let child = unsafe { MmWithUser::from_raw(child) };
        let aftermath = Aftermath {
            ran_by: RanBy {
                module: report.is_some(),
                kernel,
                left: left.map(|(_, unstable)| unstable),
            },
            report: match (report, left) {
                (Some(report), _) => report,
                // It is not taken apart yet.
                (None, Some((extent, _))) => Report {
                    extent,
                    nr_vmas: 0,
                    nr_accounted: 0,
                },
                (None, None) => by_kernel.into(),
            },
            flags: MmFlags::of(child),
        };

        // SAFETY: `recover` has left this mm, and as nobody runs on it nobody changes its tree. There
        // is one `end` of each call.
        let leftover = left.map(|(extent, _)| unsafe { Leftover::new(child, extent) });

        watcher.end(ours, to_result(retval), &aftermath, child, leftover);
    }
}

impl From<raw::dup_mmap_recovery> for Report {
    fn from(recovery: raw::dup_mmap_recovery) -> Self {
        Self {
            extent: Extent::from_end(recovery.end),
            nr_vmas: recovery.nr_vmas,
            nr_accounted: recovery.nr_accounted,
        }
    }
}
