//! `runtime-config.toml`: where key-value stores are kept, and limits on outbound connections.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::toml_document::{DocumentError, TomlDocument};

/// The store that every application has, configured or not.
pub const DEFAULT_STORE: &str = "default";

/// The runtime's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// Key-value stores by label.
    pub key_value_stores: BTreeMap<String, KeyValueBackend>,
    /// Whether HTTP connections to upstreams are kept for the next request.
    pub http_connection_pooling: bool,
    /// How many HTTP connections to upstreams there may be at once; more wait for their connect timeout.
    pub http_max_connections: Option<usize>,
    /// How many Redis connections there may be at once; more wait.
    pub redis_max_connections: Option<usize>,
}

/// Where a key-value store is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyValueBackend {
    /// A SQLite file; without a path, in memory.
    Sqlite(Option<PathBuf>),
    /// A Redis database.
    Redis(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    key_value_store: BTreeMap<String, KeyValueStore>,
    #[serde(default)]
    outbound_http: OutboundHttp,
    #[serde(default)]
    outbound_redis: OutboundRedis,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum KeyValueStore {
    Spin { path: Option<PathBuf> },
    Redis { url: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutboundHttp {
    #[serde(default = "yes")]
    connection_pooling: bool,
    max_connections: Option<usize>,
    max_concurrent_requests: Option<toml::Spanned<usize>>,
}

impl Default for OutboundHttp {
    fn default() -> Self {
        Self {
            connection_pooling: true,
            max_connections: None,
            max_concurrent_requests: None,
        }
    }
}

fn yes() -> bool {
    true
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutboundRedis {
    max_connections: Option<usize>,
}

impl RuntimeConfig {
    /// What holds without a file.
    pub fn without_file(state_dir: &Path) -> Self {
        Self::from_document(
            Document {
                key_value_store: BTreeMap::new(),
                outbound_http: OutboundHttp::default(),
                outbound_redis: OutboundRedis::default(),
            },
            state_dir,
        )
    }

    /// Reads a file; relative paths in it start from `state_dir`.
    ///
    /// # Errors
    /// The first mistake, with its position.
    pub fn parse(document: &TomlDocument, state_dir: &Path) -> Result<Self, DocumentError> {
        let tables: Document = document.parse()?;
        if let (Some(_), Some(deprecated)) = (
            tables.outbound_http.max_connections,
            &tables.outbound_http.max_concurrent_requests,
        ) {
            return Err(document.error(
                Some(deprecated.span()),
                "`max_concurrent_requests` is the old name of `max_connections`: keep one of them",
            ));
        }
        Ok(Self::from_document(tables, state_dir))
    }

    fn from_document(tables: Document, state_dir: &Path) -> Self {
        let mut key_value_stores: BTreeMap<_, _> = tables
            .key_value_store
            .into_iter()
            .map(|(label, store)| {
                let backend = match store {
                    KeyValueStore::Spin { path } => {
                        KeyValueBackend::Sqlite(path.map(|path| state_dir.join(path)))
                    }
                    KeyValueStore::Redis { url } => KeyValueBackend::Redis(url),
                };
                (label, backend)
            })
            .collect();
        key_value_stores
            .entry(DEFAULT_STORE.to_owned())
            .or_insert_with(|| {
                KeyValueBackend::Sqlite(Some(state_dir.join("sqlite_key_value.db")))
            });
        // Spin let one connection more through under the old name.
        let old_limit = tables
            .outbound_http
            .max_concurrent_requests
            .map(|limit| limit.into_inner().saturating_add(1));
        Self {
            key_value_stores,
            http_connection_pooling: tables.outbound_http.connection_pooling,
            http_max_connections: tables.outbound_http.max_connections.or(old_limit),
            redis_max_connections: tables.outbound_redis.max_connections,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RuntimeConfig, String> {
        RuntimeConfig::parse(&TomlDocument::new("rc.toml", text), Path::new("/state"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_file_and_none_are_the_same() {
        let config = parse("").unwrap();
        assert_eq!(config, RuntimeConfig::without_file(Path::new("/state")));
        assert!(config.http_connection_pooling);
        assert_eq!(
            config.key_value_stores["default"],
            KeyValueBackend::Sqlite(Some("/state/sqlite_key_value.db".into()))
        );
    }

    #[test]
    fn stores_and_limits_are_read() {
        let config = parse(
            "[key_value_store.default]\ntype = \"redis\"\nurl = \"redis://a\"\n\
             [key_value_store.cache]\ntype = \"spin\"\npath = \"cache.db\"\n\
             [key_value_store.brief]\ntype = \"spin\"\n\
             [outbound_http]\nconnection_pooling = false\nmax_connections = 7\n\
             [outbound_redis]\nmax_connections = 9\n",
        )
        .unwrap();
        let stores = &config.key_value_stores;
        assert_eq!(
            stores["default"],
            KeyValueBackend::Redis("redis://a".into())
        );
        assert_eq!(
            stores["cache"],
            KeyValueBackend::Sqlite(Some("/state/cache.db".into()))
        );
        assert_eq!(stores["brief"], KeyValueBackend::Sqlite(None));
        assert!(!config.http_connection_pooling);
        assert_eq!(config.http_max_connections, Some(7));
        assert_eq!(config.redis_max_connections, Some(9));
        let old = parse("[outbound_http]\nmax_concurrent_requests = 7").unwrap();
        assert_eq!(old.http_max_connections, Some(8));
    }

    #[test]
    fn what_is_not_known_is_named() {
        for (text, named) in [
            (
                "[key_value_store.x]\ntype = \"azure_cosmos\"",
                "azure_cosmos",
            ),
            ("[key_value_store.x]\ntype = \"redis\"\nuri = \"x\"", "uri"),
            ("[sqlite_database.x]\ntype = \"spin\"", "sqlite_database"),
            ("[outbound_http]\npooling = true", "pooling"),
            (
                "[outbound_http]\nmax_connections = 1\nmax_concurrent_requests = 2",
                "max_concurrent_requests",
            ),
        ] {
            let message = parse(text).unwrap_err();
            assert!(
                message.starts_with("rc.toml:") && message.contains(named),
                "{message}"
            );
        }
    }
}
