//! The second choice: which of the endpoints that may serve a call does.

use super::Pool;
use crate::{AttemptOutcome, CallContext, Candidates, Pick, PickContext};

impl Pool {
    /// What a balancer picks of the candidates. Should an endpoint have stopped taking calls while the balancer thought,
    /// it picks again among the others; of the last one the call is sent as its trial all the same.
    pub async fn pick(&self, mut candidates: Candidates<'_>) -> Option<Pick> {
        let context = candidates.context;
        loop {
            let asked = PickContext {
                endpoints: &candidates.endpoints,
                endpoint_count: self.endpoints.len(),
                sequence: context.sequence,
            };
            let endpoint = self.balancer.pick(&asked).await?;
            let is_last = candidates.endpoints.len() <= 1;
            if !candidates.is_trial || self.enter(endpoint, context, is_last) {
                return Some(Pick {
                    endpoint,
                    credential: candidates.credential,
                });
            }
            self.balancer.report(endpoint, AttemptOutcome::Unknown);
            candidates.endpoints.retain(|place| *place != endpoint);
        }
    }

    /// Says that a call is going to this endpoint; `false` where it no longer takes calls and needs not.
    fn enter(&self, endpoint: usize, context: CallContext<'_>, must: bool) -> bool {
        let Ok(mut state) = self.state.lock() else {
            return true;
        };
        let Some(endpoint) = state.endpoints.get_mut(endpoint) else {
            return true;
        };
        let enters = must || endpoint.allows(context.now, context.consumer);
        if enters {
            endpoint.enter(context.now, context.consumer);
        }
        enters
    }
}
