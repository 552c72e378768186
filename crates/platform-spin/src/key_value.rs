//! Spin's key-value store `default`.

use spin_sdk::experimental::wasi::keyvalue::{atomics, store};
use spin_sdk::key_value::Store;

/// What the store answered instead of a value; the runtime's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// The store `default`.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyValue;

impl KeyValue {
    /// Adds to a number, kept as eight bytes, and gives the sum. Synchronous, as [`KeyValue::change`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn increment(&self, key: &str, delta: i64) -> Result<i64, Error> {
        let bucket = store::open("default").map_err(|error| Error(describe(&error)))?;
        atomics::increment(&bucket, key, delta).map_err(|error| Error(describe(&error)))
    }

    /// A number that [`KeyValue::increment`] keeps; 0 where there is none. Synchronous, as [`KeyValue::change`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn number(&self, key: &str) -> Result<i64, Error> {
        let bucket = store::open("default").map_err(|error| Error(describe(&error)))?;
        match bucket.get(key).map_err(|error| Error(describe(&error)))? {
            None => Ok(0),
            Some(bytes) => bytes
                .try_into()
                .map(i64::from_le_bytes)
                .map_err(|_| Error(format!("`{key}` holds no number"))),
        }
    }

    /// The names of all keys.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn keys(&self) -> Result<Vec<String>, Error> {
        let store = Store::open_default()
            .await
            .map_err(|error| Error(error.to_string()))?;
        store
            .get_keys()
            .await
            .collect()
            .await
            .map_err(|error| Error(error.to_string()))
    }

    /// Removes a key.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        let store = Store::open_default()
            .await
            .map_err(|error| Error(error.to_string()))?;
        store
            .delete(key)
            .await
            .map_err(|error| Error(error.to_string()))
    }

    /// The value of a key.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let store = Store::open_default()
            .await
            .map_err(|error| Error(error.to_string()))?;
        store
            .get(key)
            .await
            .map_err(|error| Error(error.to_string()))
    }

    /// Replaces a value by what `change` makes of it, if nobody else has changed it in between: `false` where
    /// somebody has. A synchronous import: it holds up every request of the instance for the store's time, so the
    /// store must be the SQLite one.
    ///
    /// # Errors
    /// [`Error`].
    pub fn change(
        &self,
        key: &str,
        change: impl FnOnce(Option<Vec<u8>>) -> Vec<u8>,
    ) -> Result<bool, Error> {
        let bucket = store::open("default").map_err(|error| Error(describe(&error)))?;
        let swap = atomics::Cas::new(&bucket, key).map_err(|error| Error(describe(&error)))?;
        let current = swap.current().map_err(|error| Error(describe(&error)))?;
        if current.is_none() {
            // Swapping against a missing key does not compare. Whoever raises the guard first creates it.
            let guard = format!("{key}:created");
            let turn =
                atomics::increment(&bucket, &guard, 1).map_err(|error| Error(describe(&error)))?;
            // The rest wait for the creator, but not for ever: it may have died.
            if turn > 1 && turn % 16 != 0 {
                return Ok(false);
            }
        }
        match atomics::swap(swap, &change(current)) {
            Ok(()) => Ok(true),
            Err(atomics::CasError::CasFailed(_)) => Ok(false),
            Err(atomics::CasError::StoreError(error)) => Err(Error(describe(&error))),
        }
    }
}

fn describe(error: &store::Error) -> String {
    match error {
        store::Error::NoSuchStore => "there is no store `default`".to_owned(),
        store::Error::AccessDenied => {
            "the component may not use the store `default`: `key_value_stores` in spin.toml lacks it".to_owned()
        }
        store::Error::Other(text) => text.clone(),
    }
}
