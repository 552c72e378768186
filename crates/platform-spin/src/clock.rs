//! The runtime's clocks.

use std::future::Future;
use std::time::Duration;

use spin_sdk::wasip3::clocks::monotonic_clock;

use spillway_platform::{Clock, gated};

/// The runtime's monotonic clock.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SpinClock;

impl Clock for SpinClock {
    fn now(&self) -> Duration {
        Duration::from_nanos(monotonic_clock::now())
    }

    fn since_1970(&self) -> Duration {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + 'static {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        gated(monotonic_clock::wait_for(nanoseconds))
    }
}
