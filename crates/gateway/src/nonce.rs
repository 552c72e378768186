//! Signed requests, each let through once.

use spillway_config::OnError;
use spillway_identity::Signed;
use spillway_platform::{Platform, State};

use crate::Runtime;
use crate::state_access::StateBudget;

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
    pub async fn claim<P: Platform, A>(
        runtime: &Runtime<P, A>,
        budget: &StateBudget,
        on_error: OnError,
        signed: &Signed,
    ) -> Self {
        let claimant = runtime.platform.unique_name();
        let claim = async |waiting| {
            let (nonce, until) = (&signed.once, signed.until);
            let state = &runtime.state;
            state.claim_nonce(nonce, until, &claimant, waiting).await
        };
        match (runtime.access.verdict(budget, claim).await, on_error) {
            (Ok(true), _) => Self::First,
            (Ok(false), _) => Self::Repeated,
            (Err(why), on_error) => {
                runtime.access.tell_late(why);
                match on_error {
                    OnError::Allow => Self::First,
                    OnError::Deny => Self::Unknown,
                }
            }
        }
    }
}
