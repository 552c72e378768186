//! Which knowledge API a request is for, and whether its key opens it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::Method;
use sha2::{Digest, Sha256};
use spillway_config::{Gateway, KnowledgeApiConfig, Secret};
use spillway_platform::{Headers, RequestHead, Upstream};
use spillway_telemetry::Reason;

use crate::engine::Engine;
use crate::{ErrorCode, RetrievalReply};

/// Below it every knowledge API is published.
const MOUNT: &str = "/knowledge/";

/// A configuration that cannot be served by. `spillway check` refuses it before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An engine's URL.
    #[error("knowledge API `{api}`: `{url}` is no http or https URL")]
    BackendUrl {
        /// The API's name.
        api: String,
        /// The URL as resolved.
        url: String,
    },
}

/// All knowledge APIs, ready to be asked.
#[derive(Debug, Default)]
pub struct KnowledgeCatalogue {
    apis: BTreeMap<String, KnowledgeApi>,
}

/// One knowledge API.
#[derive(Debug)]
pub struct KnowledgeApi {
    /// Its name.
    pub name: String,
    /// From a request's arrival until it is answered.
    pub deadline: Duration,
    /// Whether the texts of queries are logged.
    pub log_queries: bool,
    /// The engine's kind, for metrics: `ragflow` or `dify_compatible`.
    pub backend: &'static str,
    pub(crate) engine: Engine,
    keys: Keys,
}

/// Who asks, as far as it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KnowledgeCaller {
    /// Somebody; the API wants no key.
    Anyone,
    /// Whoever has the key with this SHA-256 digest.
    Key([u8; 32]),
}

impl KnowledgeCaller {
    /// A name for whoever has the key, of which the key cannot be told.
    pub fn name(&self) -> Option<String> {
        match self {
            Self::Anyone => None,
            Self::Key(digest) => Some(
                digest
                    .iter()
                    .take(8)
                    .map(|byte| format!("{byte:02x}"))
                    .collect(),
            ),
        }
    }
}

/// Keys by digest: looking one up tells nothing of the key by its timing.
#[derive(Debug)]
enum Keys {
    NoneWanted,
    Known(BTreeSet<[u8; 32]>),
}

impl KnowledgeCatalogue {
    /// Prepares the APIs of a configuration.
    ///
    /// # Errors
    /// [`Error`].
    pub fn new(gateway: &Gateway) -> Result<Self, Error> {
        let apis = gateway
            .knowledge
            .iter()
            .map(|api| Ok((api.name.clone(), KnowledgeApi::new(api)?)))
            .collect::<Result<_, _>>()?;
        Ok(Self { apis })
    }

    /// The API at `path`: `/knowledge/<name>/retrieval`. More slashes than one may stand before `retrieval`, as Dify
    /// appends `/retrieval` to whatever its setting ends with.
    ///
    /// # Errors
    /// The answer where there is none.
    pub fn api(&self, path: &str) -> Result<&KnowledgeApi, RetrievalReply> {
        let name = path
            .strip_prefix(MOUNT)
            .and_then(|rest| rest.strip_suffix("/retrieval"))
            .map(|name| name.trim_end_matches('/'));
        name.and_then(|name| self.apis.get(name)).ok_or_else(|| {
            // The path is the client's own text: enough of it to be recognised.
            let shown: String = path.chars().take(100).collect();
            let bare = path.strip_prefix(MOUNT).map(|name| name.trim_end_matches('/'));
            if let Some(name) = bare.filter(|name| self.apis.contains_key(*name)) {
                return RetrievalReply::unknown_knowledge(
                    Reason::NotFound,
                    &format!(
                        "The knowledge API `{name}` is there; it answers at {MOUNT}{name}/retrieval. Dify appends /retrieval itself to the endpoint http(s)://<gateway>{MOUNT}{name}."
                    ),
                );
            }
            RetrievalReply::unknown_knowledge(
                Reason::NotFound,
                &format!(
                    "There is no knowledge API at {shown}. Dify's endpoint setting is \
                     http(s)://<gateway>/knowledge/<name>, without /retrieval; `knowledge` in gateway.yaml lists the names."
                ),
            )
        })
    }
}

impl KnowledgeApi {
    fn new(config: &KnowledgeApiConfig) -> Result<Self, Error> {
        let url = config.backend.base_url();
        let upstream = Upstream::parse(url).ok_or_else(|| Error::BackendUrl {
            api: config.name.clone(),
            url: url.to_owned(),
        })?;
        let engine = Engine::new(&config.backend, upstream);
        Ok(Self {
            name: config.name.clone(),
            deadline: config.deadline.duration(),
            log_queries: config.log_queries,
            backend: engine.as_str(),
            engine,
            keys: Keys::new(&config.api_keys),
        })
    }

    /// Who asks, if the request may come in. Says nothing of its body.
    ///
    /// # Errors
    /// The answer where it may not.
    pub fn admit(&self, head: &RequestHead) -> Result<KnowledgeCaller, RetrievalReply> {
        if head.method != Method::POST {
            let text = format!("{} takes POST, not {}.", head.path(), head.method);
            return Err(RetrievalReply::wrong_method(&text));
        }
        self.keys.admit(&head.headers)
    }
}

impl Keys {
    /// Empty keys, such as a template without a value, are left out: they would let anybody in.
    fn new(api_keys: &[Secret]) -> Self {
        if api_keys.is_empty() {
            return Self::NoneWanted;
        }
        let keys = api_keys.iter().filter(|key| !key.is_empty());
        Self::Known(keys.map(|key| digest(key.as_bytes())).collect())
    }

    fn admit(&self, headers: &Headers) -> Result<KnowledgeCaller, RetrievalReply> {
        let Self::Known(known) = self else {
            return Ok(KnowledgeCaller::Anyone);
        };
        let Some(key) = bearer(headers) else {
            return Err(RetrievalReply::unauthorized(
                ErrorCode::AuthorizationFormat,
                "The Authorization header is missing or not of the form `Bearer <key>`.",
            ));
        };
        let digest = digest(key);
        if known.contains(&digest) {
            Ok(KnowledgeCaller::Key(digest))
        } else {
            Err(RetrievalReply::unauthorized(
                ErrorCode::AuthorizationFailed,
                "This API key is not one of this knowledge API.",
            ))
        }
    }
}

/// The key of `Authorization: Bearer <key>`.
fn bearer(headers: &Headers) -> Option<&[u8]> {
    let value = headers.first("authorization")?.trim_ascii();
    let (scheme, key) = value.split_at_checked(7)?;
    let key = key.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer ") && !key.is_empty()).then_some(key)
}

fn digest(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}
