// SPDX-License-Identifier: GPL-2.0

//! Delayed work that can be cancelled.
//!
//! `kernel::workqueue` has delayed work, but no way to be sure that none is left, without which a
//! module could not be unloaded.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use kernel::{
    bindings,
    prelude::*,
    sync::Arc,
    time::Jiffies,
    workqueue::{
        self,
        new_delayed_work,
        DelayedWork,
        HasWork,
        Work,
        WorkItem, //
    }, //
};

/// What [`Ticking`] calls.
pub(crate) trait Tick: Send + Sync + 'static {
    /// Runs in a worker, and may sleep. Says whether to call it again, after how long.
    fn tick(&self) -> Option<Jiffies>;
}

/// A `T` whose [`Tick::tick`] can be called later on, by a worker.
#[pin_data]
pub(crate) struct Ticking<T: Tick> {
    #[pin]
    work: DelayedWork<Self>,
    #[pin]
    target: T,
}

workqueue::impl_has_delayed_work! {
    impl{T: Tick} HasDelayedWork<Self> for Ticking<T> { self.work }
}

impl<T: Tick> WorkItem for Ticking<T> {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        if let Some(delay) = this.target.tick() {
            this.start(delay);
        }
    }
}

impl<T: Tick> Ticking<T> {
    /// Nothing is to be called as yet.
    pub(crate) fn new(target: impl PinInit<T>) -> impl PinInit<Self> {
        pin_init!(Self {
            work <- new_delayed_work!("dup_mmap_recovery::Ticking"),
            target <- target,
        })
    }

    /// Has the tick called after `delay`, unless it is to be called already.
    pub(crate) fn start(self: &Arc<Self>, delay: Jiffies) {
        // What comes back is the reference that is not needed for a second time.
        let _ = workqueue::system().enqueue_delayed(self.clone(), delay);
    }

    /// When this returns no tick runs, and none will, unless it is started again. Sleeps.
    pub(crate) fn cancel(self: &Arc<Self>) {
        // SAFETY: The reference keeps the pointer valid.
        let work = unsafe { Self::raw_get_work(Arc::as_ptr(self).cast_mut()) };
        // SAFETY: It is the work inside of `self`, which is borrowed, so it is there.
        let work = unsafe { Work::raw_get(work) };
        // SAFETY: It is the work of an initialised `delayed_work`, its first field.
        let was_queued = unsafe { bindings::cancel_delayed_work_sync(work.cast()) };

        if was_queued {
            // SAFETY: The queue had a reference of its own, which `enqueue_delayed` gave it, and it
            // will not give it to `run` any more.
            drop(unsafe { Arc::from_raw(Arc::as_ptr(self)) });
        }
    }
}

impl<T: Tick> core::ops::Deref for Ticking<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.target
    }
}
