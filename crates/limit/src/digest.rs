//! Digests in the place of what must not stand in the store: keys of Dify apps and whatever clients send.

use std::fmt::Write as _;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use spillway_platform::Headers;
use spillway_store::LIMIT_KEY_PREFIX;

/// What makes this installation's digests different from everybody else's, so that nobody can look values up.
#[derive(Debug, Clone)]
pub struct DigestKey(Hmac<Sha256>);

/// A Dify application, as the digest of the key that its API is called with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DifyApp([u8; 32]);

impl DigestKey {
    /// From a secret that all replicas know. Without one (empty) a digest still cannot be turned back into an app
    /// key, which is random, but a short value such as an address can be found by trying.
    pub fn new(secret: &[u8]) -> Self {
        let mut key = [0; 64];
        for (to, from) in key.iter_mut().zip(Sha256::digest(secret)) {
            *to = from;
        }
        Self(Hmac::new(&key.into()))
    }

    /// The application that a request to Dify's service API is for: `Authorization: Bearer app-…`.
    pub fn dify_app(&self, headers: &Headers) -> Option<DifyApp> {
        let value = headers.first("authorization")?.trim_ascii();
        let (scheme, key) = value.split_at_checked(7)?;
        let key = key.trim_ascii();
        (scheme.eq_ignore_ascii_case(b"bearer ") && key.starts_with(b"app-"))
            .then(|| self.dify_app_of_key(key))
    }

    /// The application with this key.
    pub(crate) fn dify_app_of_key(&self, key: &[u8]) -> DifyApp {
        let mut mac = self.0.clone();
        update(&mut mac, b"dify-app");
        update(&mut mac, key);
        DifyApp(mac.finalize().into_bytes().into())
    }

    /// Names for counts that have all this in common.
    pub(crate) fn count_names(&self, common: &[&str]) -> CountNames {
        let mut mac = self.0.clone();
        update(&mut mac, b"count");
        for part in common {
            update(&mut mac, part.as_bytes());
        }
        CountNames(mac)
    }
}

impl DifyApp {
    /// A name for logs and metrics: enough of the digest to tell an installation's apps apart.
    pub fn label(&self) -> String {
        self.0.iter().take(6).fold(String::new(), |mut name, byte| {
            // Writing to a string cannot fail.
            let _ = write!(name, "{byte:02x}");
            name
        })
    }

    pub(crate) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What counts are named by in the store.
#[derive(Debug, Clone)]
pub(crate) struct CountNames(Hmac<Sha256>);

impl CountNames {
    /// The name of what `value` tells apart from others; the window comes after it.
    pub fn name(&self, value: &[u8]) -> String {
        /// Half of the digest: no two of however many values meet.
        const BYTES: usize = 16;
        let mut mac = self.0.clone();
        update(&mut mac, value);
        let mut name = LIMIT_KEY_PREFIX.to_owned();
        for byte in mac.finalize().into_bytes().iter().take(BYTES) {
            // Writing to a string cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        name
    }
}

/// With its length, so that parts cannot be shifted into one another.
fn update(mac: &mut Hmac<Sha256>, part: &[u8]) {
    mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
    mac.update(part);
}
