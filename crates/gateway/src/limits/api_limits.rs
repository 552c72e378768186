//! The limits of one API, as they are configured.

use spillway_config::{
    AgentApiConfig, KnowledgeApiConfig, ModelApiConfig, RateLimit, StateConfig, TokenLimit,
};
use spillway_limit::{DigestKey, Error, Rules};

/// The limits of one API, as they are configured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ApiLimits<'g> {
    /// The API's name.
    pub name: &'g str,
    requests: &'g [RateLimit],
    tokens: &'g [TokenLimit],
}

impl<'g> ApiLimits<'g> {
    pub fn of_agents(api: &'g AgentApiConfig) -> Self {
        Self {
            name: &api.name,
            requests: &api.policies.rate_limits,
            tokens: &api.policies.token_limits,
        }
    }

    pub fn of_models(api: &'g ModelApiConfig) -> Self {
        Self {
            name: &api.name,
            requests: &api.policies.rate_limits,
            tokens: &api.policies.token_limits,
        }
    }

    pub fn of_knowledge(api: &'g KnowledgeApiConfig) -> Self {
        Self {
            name: &api.name,
            requests: &api.policies.rate_limits,
            tokens: &[],
        }
    }

    /// Prepares them; `name` tells the API from all others.
    pub fn rules(
        &self,
        name: &str,
        state: &StateConfig,
        digest: &DigestKey,
    ) -> Result<Rules, Error> {
        Rules::new(self.requests, self.tokens, name, state, digest)
    }
}
