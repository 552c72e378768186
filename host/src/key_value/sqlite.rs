//! Key-value stores in a SQLite file, in the layout that Spin uses, so that both can use one file.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::StoreError;

const LAYOUT: &str = "CREATE TABLE IF NOT EXISTS spin_key_value (
    store TEXT NOT NULL,
    key   TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (store, key)
)";
const GET: &str = "SELECT value FROM spin_key_value WHERE store = ?1 AND key = ?2";
const SET: &str = "INSERT INTO spin_key_value (store, key, value) VALUES (?1, ?2, ?3)
    ON CONFLICT (store, key) DO UPDATE SET value = ?3";
const SET_IF_ABSENT: &str = "INSERT INTO spin_key_value (store, key, value) VALUES (?1, ?2, ?3)
    ON CONFLICT (store, key) DO NOTHING";
const SET_IF_SAME: &str =
    "UPDATE spin_key_value SET value = ?3 WHERE store = ?1 AND key = ?2 AND value = ?4";
const DELETE: &str = "DELETE FROM spin_key_value WHERE store = ?1 AND key = ?2";
const EXISTS: &str = "SELECT EXISTS (SELECT 1 FROM spin_key_value WHERE store = ?1 AND key = ?2)";
const KEYS: &str = "SELECT key FROM spin_key_value WHERE store = ?1";

/// How long to wait for another process that writes the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// One store of a SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    label: Arc<str>,
    connection: Arc<Mutex<Connection>>,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl SqliteStore {
    /// Opens, or makes, a file; without a path the store lives in memory.
    ///
    /// # Errors
    /// When the file or its folder cannot be made, or it is no database.
    pub fn open(label: &str, path: Option<&Path>) -> Result<Self, StoreError> {
        let connection = match path {
            None => Connection::open_in_memory()?,
            Some(path) => {
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder).map_err(|error| {
                        StoreError::new(format!("cannot create {}: {error}", folder.display()))
                    })?;
                }
                Connection::open(path)?
            }
        };
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // A write then costs no wait for the disk; a crash of this process still loses nothing.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.execute(LAYOUT, [])?;
        Ok(Self {
            label: label.into(),
            connection: Arc::new(Mutex::new(connection)),
        })
    }

    /// SQLite blocks, so it gets a thread on which that is allowed.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection, &str) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || {
            let mut connection = store
                .connection
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            work(&mut connection, &store.label)
        })
        .await
        .map_err(|error| StoreError::new(error.to_string()))?
    }

    pub(super) async fn get(&self, key: String) -> Result<Option<Vec<u8>>, StoreError> {
        self.run(move |connection, label| {
            let mut statement = connection.prepare_cached(GET)?;
            Ok(statement
                .query_row(params![label, key], |row| row.get(0))
                .optional()?)
        })
        .await
    }

    pub(super) async fn set(&self, key: String, value: Vec<u8>) -> Result<(), StoreError> {
        self.run(move |connection, label| {
            connection
                .prepare_cached(SET)?
                .execute(params![label, key, value])?;
            Ok(())
        })
        .await
    }

    pub(super) async fn delete(&self, key: String) -> Result<(), StoreError> {
        self.run(move |connection, label| {
            connection
                .prepare_cached(DELETE)?
                .execute(params![label, key])?;
            Ok(())
        })
        .await
    }

    pub(super) async fn exists(&self, key: String) -> Result<bool, StoreError> {
        self.run(move |connection, label| {
            let mut statement = connection.prepare_cached(EXISTS)?;
            Ok(statement.query_row(params![label, key], |row| row.get(0))?)
        })
        .await
    }

    pub(super) async fn keys(&self) -> Result<Vec<String>, StoreError> {
        self.run(move |connection, label| {
            let mut statement = connection.prepare_cached(KEYS)?;
            let keys = statement.query_map(params![label], |row| row.get(0))?;
            Ok(keys.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Numbers are eight bytes, little endian.
    pub(super) async fn increment(&self, key: String, delta: i64) -> Result<i64, StoreError> {
        self.run(move |connection, label| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let held: Option<Vec<u8>> = transaction
                .prepare_cached(GET)?
                .query_row(params![label, key], |row| row.get(0))
                .optional()?;
            let number = match held {
                None => 0,
                Some(bytes) => i64::from_le_bytes(
                    bytes
                        .try_into()
                        .map_err(|_| StoreError::new(format!("`{key}` holds no number")))?,
                ),
            };
            let number = number
                .checked_add(delta)
                .ok_or_else(|| StoreError::new(format!("`{key}` would overflow")))?;
            transaction
                .prepare_cached(SET)?
                .execute(params![label, key, number.to_le_bytes()])?;
            transaction.commit()?;
            Ok(number)
        })
        .await
    }

    pub(super) async fn swap(
        &self,
        key: String,
        seen: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> Result<bool, StoreError> {
        self.run(move |connection, label| {
            let changed = match seen {
                None => connection
                    .prepare_cached(SET_IF_ABSENT)?
                    .execute(params![label, key, value])?,
                Some(seen) => connection
                    .prepare_cached(SET_IF_SAME)?
                    .execute(params![label, key, value, seen])?,
            };
            Ok(changed == 1)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn values_survive_a_restart_and_labels_are_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/kv.db");
        let store = SqliteStore::open("default", Some(&path)).unwrap();
        store.set("a".into(), b"1".to_vec()).await.unwrap();
        store.set("a".into(), b"2".to_vec()).await.unwrap();
        drop(store);
        let store = SqliteStore::open("default", Some(&path)).unwrap();
        assert_eq!(store.get("a".into()).await.unwrap(), Some(b"2".to_vec()));
        assert!(store.exists("a".into()).await.unwrap());
        assert_eq!(store.keys().await.unwrap(), ["a"]);
        let other = SqliteStore::open("other", Some(&path)).unwrap();
        assert_eq!(other.get("a".into()).await.unwrap(), None);
        store.delete("a".into()).await.unwrap();
        assert!(!store.exists("a".into()).await.unwrap());
    }

    #[tokio::test]
    async fn increments_of_two_openings_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kv.db");
        let stores = [
            SqliteStore::open("default", Some(&path)).unwrap(),
            SqliteStore::open("default", Some(&path)).unwrap(),
        ];
        let tasks: Vec<_> = (0..40)
            .map(|at| {
                let store = stores[at % 2].clone();
                tokio::spawn(async move { store.increment("n".into(), 2).await.unwrap() })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(stores[0].increment("n".into(), -80).await.unwrap(), 0);
        stores[0].set("s".into(), b"text".to_vec()).await.unwrap();
        assert!(stores[0].increment("s".into(), 1).await.is_err());
        stores[0].increment("m".into(), i64::MAX).await.unwrap();
        assert!(stores[0].increment("m".into(), 1).await.is_err());
    }

    #[tokio::test]
    async fn a_swap_needs_what_was_seen() {
        let store = SqliteStore::open("default", None).unwrap();
        let swap = |seen: Option<&[u8]>, value: &[u8]| {
            let store = store.clone();
            let (seen, value) = (seen.map(<[u8]>::to_vec), value.to_vec());
            async move { store.swap("k".into(), seen, value).await.unwrap() }
        };
        assert!(!swap(Some(b"x"), b"1").await);
        assert!(swap(None, b"1").await);
        assert!(!swap(None, b"2").await);
        assert!(swap(Some(b"1"), b"2").await);
        assert_eq!(store.get("k".into()).await.unwrap(), Some(b"2".to_vec()));
    }
}
