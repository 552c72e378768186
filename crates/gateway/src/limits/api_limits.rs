//! The limits of one API, as they are configured.

use spillway_config::{
    AgentApiConfig, KnowledgeApiConfig, ModelApiConfig, RateLimit, StateConfig, TokenLimit,
};
use spillway_limit::{DigestKey, Rules};

/// The limits of one API, as they are configured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ApiLimits<'g> {
    /// Its kind, which keeps APIs of one name but of different kinds apart.
    pub kind: &'static str,
    /// The API's name.
    pub name: &'g str,
    requests: &'g [RateLimit],
    tokens: &'g [TokenLimit],
}

impl<'g> ApiLimits<'g> {
    pub fn of_agents(api: &'g AgentApiConfig) -> Self {
        Self {
            kind: "agent",
            name: &api.name,
            requests: &api.policies.rate_limits,
            tokens: &api.policies.token_limits,
        }
    }

    pub fn of_models(api: &'g ModelApiConfig) -> Self {
        Self {
            kind: "model",
            name: &api.name,
            requests: &api.policies.rate_limits,
            tokens: &api.policies.token_limits,
        }
    }

    pub fn of_knowledge(api: &'g KnowledgeApiConfig) -> Self {
        Self {
            kind: "knowledge",
            name: &api.name,
            requests: &api.policies.rate_limits,
            tokens: &[],
        }
    }

    /// Prepares them.
    ///
    /// # Errors
    /// A rule that cannot be used; the text says which.
    pub fn rules(&self, state: &StateConfig, digest: &DigestKey) -> Result<Rules, String> {
        let Self { kind, name, .. } = *self;
        let api = format!("{kind}/{name}");
        Rules::new(self.requests, self.tokens, &api, state, digest)
            .map_err(|error| format!("{kind} API `{name}`: {error}"))
    }
}
