//! One of a provider's keys.

use sha2::{Digest, Sha256};
use spillway_config::ProviderKey;

/// A key, its secret with it.
#[derive(Clone)]
pub struct Key {
    /// What is sent.
    pub secret: String,
    /// What stands in logs, metrics and the store: the beginning of its SHA-256.
    pub digest: String,
    pub(crate) weight: u32,
    not_before: Option<u64>,
    expires: Option<u64>,
}

impl Key {
    pub(crate) fn new(config: &ProviderKey) -> Self {
        Self {
            secret: config.key.to_string(),
            digest: key_digest(&config.key),
            weight: config.weight,
            not_before: config.not_before.map(spillway_config::Moment::unix_seconds),
            expires: config.expires.map(spillway_config::Moment::unix_seconds),
        }
    }

    /// Whether it is within its time.
    pub(crate) fn is_valid(&self, unix_seconds: u64) -> bool {
        self.not_before.is_none_or(|from| from <= unix_seconds)
            && self.expires.is_none_or(|until| unix_seconds < until)
    }
}

// The secret stays out.
impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Key")
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

/// What a key is called in logs, metrics and the store: the beginning of its SHA-256, in hexadecimal.
pub fn key_digest(secret: &str) -> String {
    Sha256::digest(secret.as_bytes())
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
