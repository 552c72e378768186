//! What keys the digests of clients' values.

use spillway_config::{Credential, Gateway, KnowledgeBackend};

/// `state.digest_key`. Without it the configuration's own secrets: they are the same on every replica, need no setting,
/// and nobody else knows them.
pub(crate) fn digest_secret(gateway: &Gateway) -> String {
    if !gateway.state.digest_key.is_empty() {
        return gateway.state.digest_key.to_string();
    }
    let mut secret = gateway.state.redis.to_string();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(digest_key: &str, provider_key: &str) -> String {
        let document = format!(
            r#"{{"state":{{"digest_key":"{digest_key}","redis":"redis://r"}},
                "providers":[{{"name":"p","base_url":"http://p","api_keys":["{provider_key}"]}}]}}"#
        );
        digest_secret(&serde_json::from_str(&document).unwrap())
    }

    #[test]
    fn with_a_digest_key_no_other_secret_matters() {
        assert_eq!(secret("own", "old"), secret("own", "new"));
        assert_ne!(secret("own", "old"), secret("other", "old"));
        assert_ne!(secret("", "old"), secret("", "new"));
    }
}
