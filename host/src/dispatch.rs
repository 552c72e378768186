//! Handing a request to an instance of its component, if need be after a wait for one that takes it.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use wasmtime::PoolConcurrencyLimitError;
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::handler::{InstantiationError, ProxyHandler};

use crate::instance::{ComponentHandler, NoSlot, RequestOrigin};

/// How long a request waits for an instance while there is no place for another one.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// How often it looks meanwhile.
const MIN_PAUSE: Duration = Duration::from_millis(1);
const MAX_PAUSE: Duration = Duration::from_millis(50);

/// A request that got no answer from its component.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// All instances are busy, and there is no place for another one.
    #[error(
        "every instance is busy and there is no place for another one (SPIN_MAX_INSTANCE_COUNT holds how many there may be)"
    )]
    Overloaded,
    /// The component failed.
    #[error("{0:#}")]
    Failed(wasmtime::Error),
}

/// Hands a request on. `origin` learns which instance took it.
///
/// # Errors
/// [`DispatchError`].
pub async fn dispatch(
    handler: &ProxyHandler<ComponentHandler>,
    origin: &RequestOrigin,
    mut request: http::Request<WasiBody>,
) -> Result<http::Response<WasiBody>, DispatchError> {
    let began = Instant::now();
    let mut pause = MIN_PAUSE;
    loop {
        let error = match handler.handle(origin.clone(), request).await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        let returned = error
            .downcast::<InstantiationError<RequestOrigin>>()
            .map_err(DispatchError::Failed)?;
        if !is_full(&returned.error) {
            let message = wasmtime::Error::msg(returned.to_string());
            return Err(DispatchError::Failed(message));
        }
        if began.elapsed() >= MAX_WAIT {
            return Err(DispatchError::Overloaded);
        }
        // Instances that wanted to leave, or had enough to do when they were last asked, may take it now.
        handler.state().wake();
        sleep(pause).await;
        pause = pause.saturating_mul(2).min(MAX_PAUSE);
        request = returned
            .request
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
    }
}

fn is_full(error: &wasmtime::Error) -> bool {
    error.is::<NoSlot>() || error.is::<PoolConcurrencyLimitError>()
}
