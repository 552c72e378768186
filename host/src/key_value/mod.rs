//! Key-value stores of components, kept in SQLite or Redis.

mod redis;
mod spin;
mod sqlite;
mod wasi;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::runtime_config::KeyValueBackend;

pub use self::redis::RedisStore;
pub use sqlite::SqliteStore;

/// How many stores one instance may hold.
const MAX_STORES_PER_INSTANCE: usize = 256;

/// Where a store is kept; cheap to clone.
#[derive(Debug, Clone)]
pub enum Backend {
    /// A SQLite file, by the store's label.
    Sqlite(SqliteStore),
    /// A Redis database, which has no labels.
    Redis(Arc<RedisStore>),
}

/// What a guest holds as a store or bucket.
#[derive(Debug, Clone)]
pub struct Store {
    backend: Backend,
}

/// What a guest holds as a compare-and-swap: a key, and what it held when it was read last.
#[derive(Debug)]
pub struct CompareAndSwap {
    store: Store,
    key: String,
    seen: Option<Vec<u8>>,
}

/// Why a store could not answer, as text for the component.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(String);

impl StoreError {
    fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl Backend {
    /// Opens what the runtime configuration says of a label. A Redis is connected to when it is first
    /// used.
    ///
    /// # Errors
    /// When the SQLite file cannot be opened, or the Redis URL is none.
    pub fn open(label: &str, backend: &KeyValueBackend) -> Result<Self, StoreError> {
        match backend {
            KeyValueBackend::Sqlite(path) => {
                Ok(Self::Sqlite(SqliteStore::open(label, path.as_deref())?))
            }
            KeyValueBackend::Redis(url) => Ok(Self::Redis(Arc::new(RedisStore::new(url)?))),
        }
    }
}

impl Store {
    async fn get(&self, key: String) -> Result<Option<Vec<u8>>, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.get(key).await,
            Backend::Redis(store) => store.get(&key).await,
        }
    }

    async fn set(&self, key: String, value: Vec<u8>) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.set(key, value).await,
            Backend::Redis(store) => store.set(&key, value).await,
        }
    }

    async fn delete(&self, key: String) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.delete(key).await,
            Backend::Redis(store) => store.delete(&key).await,
        }
    }

    async fn exists(&self, key: String) -> Result<bool, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.exists(key).await,
            Backend::Redis(store) => store.exists(&key).await,
        }
    }

    async fn keys(&self) -> Result<Vec<String>, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.keys().await,
            Backend::Redis(store) => store.keys().await,
        }
    }

    async fn increment(&self, key: String, delta: i64) -> Result<i64, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.increment(key, delta).await,
            Backend::Redis(store) => store.increment(&key, delta).await,
        }
    }

    /// Sets `value` if the key still holds what was `seen`; says whether it did.
    async fn swap(
        &self,
        key: String,
        seen: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> Result<bool, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.swap(key, seen, value).await,
            Backend::Redis(store) => store.swap(&key, seen, value).await,
        }
    }
}

/// The stores by label, each opened once, shared by all components.
#[derive(Debug, Default)]
pub struct Stores {
    opened: BTreeMap<String, Backend>,
}

impl Stores {
    /// Opens all configured stores.
    ///
    /// # Errors
    /// The first that cannot be opened, named by its label.
    pub fn open(configured: &BTreeMap<String, KeyValueBackend>) -> anyhow::Result<Self> {
        let opened = configured
            .iter()
            .map(|(label, backend)| {
                let opened = Backend::open(label, backend)
                    .map_err(|error| anyhow::anyhow!("key_value_store.{label}: {error}"))?;
                Ok((label.clone(), opened))
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { opened })
    }

    /// The stores that a component may open.
    ///
    /// # Errors
    /// When it asks for a label that is not configured.
    pub fn of_component(&self, labels: &[String]) -> anyhow::Result<HashMap<String, Backend>> {
        labels
            .iter()
            .map(|label| {
                let store = self.opened.get(label).ok_or_else(|| {
                    anyhow::anyhow!(
                        "key-value store `{label}` is not configured: add [key_value_store.{label}] to runtime-config.toml"
                    )
                })?;
                Ok((label.clone(), store.clone()))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_gets_the_stores_it_asks_for() {
        let configured = BTreeMap::from([("default".to_owned(), KeyValueBackend::Sqlite(None))]);
        let stores = Stores::open(&configured).unwrap();
        let granted = stores.of_component(&["default".to_owned()]).unwrap();
        assert_eq!(granted.keys().collect::<Vec<_>>(), ["default"]);
        let refused = stores.of_component(&["cache".to_owned()]).unwrap_err();
        assert!(
            refused.to_string().contains("[key_value_store.cache]"),
            "{refused}"
        );
    }
}
