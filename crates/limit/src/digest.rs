//! Digests in the place of what must not stand in the store: keys of Dify apps and whatever clients send.

use std::fmt::Write as _;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use spillway_platform::Headers;
use spillway_platform::LIMIT_KEY_PREFIX;

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

    /// The application that a request to Dify's service API is for: `Authorization: Bearer app-…`, split as Dify
    /// splits it, with Python's `split(None, 1)`.
    pub fn dify_app(&self, headers: &Headers) -> Option<DifyApp> {
        let mut words = headers
            .first("authorization")?
            .split(|byte| is_python_space(*byte))
            .filter(|word| !word.is_empty());
        let (scheme, key) = (words.next()?, words.next()?);
        (scheme.eq_ignore_ascii_case(b"bearer") && key.starts_with(b"app-"))
            .then(|| self.dify_app_of_key(key))
    }

    /// The application with this key.
    pub fn dify_app_of_key(&self, key: &[u8]) -> DifyApp {
        let mut mac = self.0.clone();
        update(&mut mac, b"dify-app");
        update(&mut mac, key);
        DifyApp(mac.finalize().into_bytes().into())
    }

    /// A name for what calls of a kind have used, whose parts are all names.
    pub fn usage_name(&self, kind: &[&str]) -> String {
        let mut mac = self.0.clone();
        update(&mut mac, b"usage");
        for part in kind {
            update(&mut mac, part.as_bytes());
        }
        hexadecimal(&mac.finalize().into_bytes())
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

/// Whitespace to Python in a header field, which WSGI hands over as ISO 8859-1.
const fn is_python_space(byte: u8) -> bool {
    matches!(byte, b' ' | 0x09..=0x0d | 0x1c..=0x1f | 0x85 | 0xa0)
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
        let mut mac = self.0.clone();
        update(&mut mac, value);
        let name = hexadecimal(&mac.finalize().into_bytes());
        format!("{LIMIT_KEY_PREFIX}{name}")
    }
}

/// Half of a digest: no two of however many values meet.
fn hexadecimal(digest: &[u8]) -> String {
    const BYTES: usize = 16;
    let mut name = String::with_capacity(BYTES.saturating_mul(2));
    for byte in digest.iter().take(BYTES) {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// With its length, so that parts cannot be shifted into one another.
fn update(mac: &mut Hmac<Sha256>, part: &[u8]) {
    mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
    mac.update(part);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_the_same_however_its_key_is_written() {
        let digest = DigestKey::new(b"secret");
        let app = |value: &[u8]| {
            let mut headers = Headers::default();
            headers.append("authorization", value);
            digest.dify_app(&headers)
        };
        let usual = app(b"Bearer app-1");
        assert!(usual.is_some());
        for value in [
            &b"bearer app-1"[..],
            b"BEARER   app-1 ",
            b"Bearer\t app-1",
            b"Bearer\xa0 app-1",
            b" Bearer app-1",
        ] {
            assert_eq!(app(value), usual, "{value:?}");
        }
        for value in [
            &b"app-1"[..],
            b"Bearer",
            b"Basic app-1",
            b"Bearer dataset-1",
        ] {
            assert_eq!(app(value), None, "{value:?}");
        }
    }
}
