//! What keys the digests of clients' values.

use spillway_config::{Credential, Gateway, KnowledgeBackend};

/// The configuration's own secrets, so that it is the same on every
/// replica, needs no setting, and nobody else knows it.
pub(crate) fn digest_secret(gateway: &Gateway) -> String {
    let mut secret = gateway.state.redis.clone();
    for consumer in &gateway.consumers {
        for credential in &consumer.credentials {
            secret.push('\n');
            secret.push_str(match credential {
                Credential::ApiKey(key) => key,
                Credential::Hmac(pair) => &pair.secret_key,
            });
        }
    }
    for provider in &gateway.providers {
        for key in &provider.api_keys {
            secret.push('\n');
            secret.push_str(&key.key);
        }
    }
    for api in &gateway.knowledge {
        let engine = match &api.backend {
            KnowledgeBackend::Ragflow(engine) => &engine.api_key,
            KnowledgeBackend::DifyCompatible(engine) => &engine.api_key,
        };
        for key in api.api_keys.iter().chain([engine]) {
            secret.push('\n');
            secret.push_str(key);
        }
    }
    secret
}
