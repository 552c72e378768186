//! All consumers by what they show.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use spillway_config::{Consumer, Credential};
use spillway_platform::RequestHead;

use crate::signature::{Signer, access_key};
use crate::{SignatureFault, Signed, api_key};

/// What the credentials of a request say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// None was given.
    Absent,
    /// One was given that nobody has.
    Unknown,
    /// The request is signed, but not as it must be.
    Faulty(SignatureFault),
    /// This consumer's.
    Consumer(Caller),
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The consumer's name.
    pub name: Arc<str>,
    /// Where the request is signed: what is left to be looked at.
    pub signed: Option<Signed>,
}

/// All consumers, by the digests of their keys and by their access keys.
#[derive(Debug, Default)]
pub struct Directory {
    by_digest: BTreeMap<[u8; 32], Arc<str>>,
    by_access_key: BTreeMap<String, Signer>,
}

impl Directory {
    /// Prepares the consumers. Empty secrets, such as a template without a value, are left out: they would let
    /// anybody in.
    pub fn new(consumers: &[Consumer]) -> Self {
        let mut directory = Self::default();
        for consumer in consumers {
            for credential in &consumer.credentials {
                match credential {
                    Credential::ApiKey(key) if !key.is_empty() => {
                        directory.by_digest.insert(
                            api_key::digest(key.as_bytes()),
                            consumer.name.as_str().into(),
                        );
                    }
                    Credential::Hmac(pair)
                        if !pair.secret_key.is_empty() && !pair.access_key.is_empty() =>
                    {
                        if let Some(signer) = Signer::new(&consumer.name, pair) {
                            directory
                                .by_access_key
                                .insert(pair.access_key.clone(), signer);
                        }
                    }
                    Credential::ApiKey(_) | Credential::Hmac(_) => {}
                }
            }
        }
        directory
    }

    /// Who a request's head says is calling. `query_parameter`: where a key may stand besides headers.
    /// `since_1970` is the time.
    pub fn identify(
        &self,
        request: &RequestHead,
        query_parameter: Option<&str>,
        since_1970: Duration,
    ) -> Identity {
        if let Some(access_key) = access_key(&request.headers) {
            let Some(signer) = self.by_access_key.get(access_key) else {
                return Identity::Unknown;
            };
            return match signer.verify(request, since_1970) {
                Ok(signed) => Identity::Consumer(Caller {
                    name: Arc::clone(signer.consumer()),
                    signed: Some(signed),
                }),
                Err(fault) => Identity::Faulty(fault),
            };
        }
        match api_key::presented(request, query_parameter) {
            None => Identity::Absent,
            Some(key) => match self.by_digest.get(&api_key::digest(&key)) {
                Some(name) => Identity::Consumer(Caller {
                    name: Arc::clone(name),
                    signed: None,
                }),
                None => Identity::Unknown,
            },
        }
    }
}
