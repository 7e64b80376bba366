// SPDX-License-Identifier: GPL-2.0

//! What is left of a worker that was to look after held forks, when the module goes.

use kernel::prelude::*;

#[kunit_tests(dup_mmap_hold)]
mod tests {
    use crate::{
        hold::Holds,
        missing::Ticking, //
    };
    use kernel::{
        prelude::*,
        sync::Arc,
        time::msecs_to_jiffies, //
    };

    /// Longer than a test takes.
    const LATER: u32 = 600_000;

    fn none() -> Result<Arc<Ticking<Holds>>> {
        Arc::pin_init(Ticking::new(Holds::new()), GFP_KERNEL)
    }

    /// The queue has a reference, for as long as it is to call somebody.
    fn is_queued(holds: Arc<Ticking<Holds>>) -> bool {
        Arc::into_unique_or_drop(holds).is_none()
    }

    #[test]
    fn closing_leaves_no_worker() -> Result {
        let holds = none()?;

        holds.start(msecs_to_jiffies(LATER));
        Holds::close(&holds);
        assert!(!is_queued(holds));
        Ok(())
    }

    #[test]
    fn closing_needs_no_worker() -> Result {
        let holds = none()?;

        Holds::close(&holds);
        Holds::close(&holds);
        assert!(!is_queued(holds));
        Ok(())
    }

    #[test]
    fn a_worker_that_is_started_twice_is_cancelled_once() -> Result {
        let holds = none()?;

        holds.start(msecs_to_jiffies(LATER));
        holds.start(msecs_to_jiffies(LATER));
        holds.cancel();
        assert!(!is_queued(holds));
        Ok(())
    }
}
