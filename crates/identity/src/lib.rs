//! Who is calling: consumers and the credentials that show it.
//! Must not know what a consumer may do, nor keep a secret in clear.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use spillway_config::{Consumer, Credential};
use spillway_platform::Headers;

/// What the credentials of a request say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity<'a> {
    /// None was given.
    Absent,
    /// One was given that nobody has.
    Unknown,
    /// This consumer's.
    Consumer(&'a str),
}

/// All consumers by the digest of their keys. Looking a digest up tells nothing of the key by its timing.
#[derive(Debug, Default)]
pub struct Directory {
    by_digest: BTreeMap<[u8; 32], String>,
}

impl Directory {
    /// Prepares the consumers. Empty keys, such as a template without a value, are left out: they would let
    /// anybody in.
    pub fn new(consumers: &[Consumer]) -> Self {
        let mut by_digest = BTreeMap::new();
        for consumer in consumers {
            for Credential::ApiKey(key) in &consumer.credentials {
                if !key.is_empty() {
                    by_digest.insert(digest(key.as_bytes()), consumer.name.clone());
                }
            }
        }
        Self { by_digest }
    }

    /// Who a request's headers say is calling.
    pub fn identify(&self, headers: &Headers) -> Identity<'_> {
        match presented_key(headers) {
            None => Identity::Absent,
            Some(key) => match self.by_digest.get(&digest(key)) {
                Some(name) => Identity::Consumer(name),
                None => Identity::Unknown,
            },
        }
    }
}

/// The key a request carries: `Authorization: Bearer …`, else `x-api-key`, else `api-key`. An empty one counts as
/// absent: some clients send the header even when they have no key.
fn presented_key(headers: &Headers) -> Option<&[u8]> {
    let bearer = headers.first("authorization").and_then(|value| {
        let value = value.trim_ascii();
        let (scheme, key) = value.split_at_checked(7)?;
        scheme
            .eq_ignore_ascii_case(b"bearer ")
            .then(|| key.trim_ascii())
    });
    [bearer, headers.first("x-api-key"), headers.first("api-key")]
        .into_iter()
        .flatten()
        .map(<[u8]>::trim_ascii)
        .find(|key| !key.is_empty())
}

fn digest(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identify(fields: &[(&str, &str)]) -> String {
        let key = |key: &str| Credential::ApiKey(key.to_owned());
        let directory = Directory::new(&[
            Consumer {
                name: "dify".to_owned(),
                credentials: vec![key("k1"), key("k2")],
            },
            Consumer {
                name: "unset".to_owned(),
                credentials: vec![key("")],
            },
        ]);
        let list = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        match directory.identify(&Headers::from_list(list.collect())) {
            Identity::Absent => "absent".to_owned(),
            Identity::Unknown => "unknown".to_owned(),
            Identity::Consumer(name) => name.to_owned(),
        }
    }

    #[test]
    fn keys_are_taken_from_each_place_a_client_may_put_them() {
        for fields in [
            [("authorization", "Bearer k1")],
            [("authorization", "bearer  k2 ")],
            [("x-api-key", "k1")],
            [("api-key", "k2")],
        ] {
            assert_eq!(identify(&fields), "dify", "{fields:?}");
        }
        assert_eq!(
            identify(&[("authorization", "Bearer "), ("x-api-key", "k1")]),
            "dify"
        );
    }

    #[test]
    fn empty_and_foreign_credentials_are_absent_and_wrong_ones_unknown() {
        for value in ["", "Bearer", "Bearer ", "  ", "Basic azE6", "k1"] {
            assert_eq!(identify(&[("authorization", value)]), "absent", "{value:?}");
        }
        assert_eq!(identify(&[]), "absent");
        assert_eq!(identify(&[("authorization", "Bearer K1")]), "unknown");
        assert_eq!(identify(&[("x-api-key", "k1x")]), "unknown");
    }
}
