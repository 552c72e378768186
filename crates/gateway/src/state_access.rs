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
pub(crate) struct StoreAnswer<T> {
    pub result: Result<T, StateError>,
    pub transition: Option<StoreTransition>,
}

impl StateAccess {
    /// Asks; `None` while the store is left alone.
    pub async fn ask<T>(
        &self,
        clock: &impl Clock,
        call: impl Future<Output = Result<T, StateError>>,
    ) -> Option<StoreAnswer<T>> {
        let allows =
            |mut breaker: std::sync::MutexGuard<'_, StoreBreaker>| breaker.allows(clock.now());
        if !self.breaker.lock().is_ok_and(allows) {
            return None;
        }
        let result = call.await;
        let is_gone = result.as_ref().is_err_and(|error| !error.is_late);
        let transition = self.breaker.lock().ok().and_then(|mut breaker| {
            if is_gone {
                breaker.failed(clock.now())
            } else {
                // A store that answers late is not gone.
                breaker.succeeded()
            }
        });
        Some(StoreAnswer { result, transition })
    }
}
