//! Asking a store that may be gone: after a few failures it is left alone for moments, see [`StoreBreaker`].

use std::future::Future;
use std::sync::Mutex;

use spillway_platform::{Clock, StateError};
use spillway_state::{StoreBreaker, StoreTransition};

/// One user's opinion of the store.
#[derive(Debug, Default)]
pub(crate) struct StateAccess {
    breaker: Mutex<StoreBreaker>,
}

/// What the store said, and what that changed.
pub(crate) struct StoreResult<T> {
    pub result: Result<T, StateError>,
    pub transition: Option<StoreTransition>,
    /// The store was being left alone, and this was a probe.
    pub is_probe: bool,
}

impl StateAccess {
    /// Asks; `None` while the store is left alone.
    pub async fn ask<T>(
        &self,
        clock: &impl Clock,
        call: impl Future<Output = Result<T, StateError>>,
    ) -> Option<StoreResult<T>> {
        let is_probe = {
            let mut breaker = self.breaker.lock().ok()?;
            if !breaker.allows(clock.now()) {
                return None;
            }
            breaker.is_open()
        };
        let result = call.await;
        let transition = self
            .breaker
            .lock()
            .ok()
            .and_then(|mut breaker| match &result {
                Ok(_) => breaker.succeeded(),
                Err(error) if error.is_late => {
                    breaker.is_late();
                    None
                }
                Err(_) => breaker.failed(clock.now()),
            });
        Some(StoreResult {
            result,
            transition,
            is_probe,
        })
    }
}
