//! Signed requests, each let through once.

use spillway_config::OnError;
use spillway_identity::Signed;
use spillway_platform::{Platform, State};

use crate::Log;

/// What is known of a signed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nonce {
    /// It has not been seen before.
    First,
    /// It has been let through already.
    Repeated,
    /// The store does not tell, and requests that it does not tell of are refused.
    Unknown,
}

impl Nonce {
    /// Whether a request comes for the first time; it is remembered for as long as its signature is good.
    pub async fn claim<P: Platform>(
        log: &Log<P>,
        platform: &P,
        state: &P::State,
        on_error: OnError,
        signed: &Signed,
    ) -> Self {
        let claimant = platform.unique_name();
        let claimed = state.claim_nonce(&signed.once, signed.until, &claimant);
        match (claimed.await, on_error) {
            (Ok(true), _) => Self::First,
            (Ok(false), _) => Self::Repeated,
            (Err(error), on_error) => {
                log.warn(&format!(
                    "consumers: whether a signed request is repeated could not be told: {error}"
                ));
                match on_error {
                    OnError::Allow => Self::First,
                    OnError::Deny => Self::Unknown,
                }
            }
        }
    }
}
