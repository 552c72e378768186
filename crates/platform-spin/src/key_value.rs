//! Spin's key-value store `default`.
//!
//! Numbers and swaps are synchronous imports: each holds up every request of the instance for the store's time, so the
//! store must be the SQLite one.

use spillway_state::{Increment, KeyValue};
use spin_sdk::experimental::wasi::keyvalue::{atomics, store};
use spin_sdk::key_value::{Error as StoreError, Store};

/// What the store answered instead of a value; the runtime's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyValueError(String);

/// The store `default`.
#[derive(Debug, Clone, Copy, Default)]
pub struct SpinKeyValue;

impl Increment for SpinKeyValue {
    type Error = KeyValueError;

    fn increment(&self, key: &str, delta: i64) -> Result<i64, KeyValueError> {
        Ok(atomics::increment(&store::open("default")?, key, delta)?)
    }

    fn get(&self, key: &str) -> Result<i64, KeyValueError> {
        match store::open("default")?.get(key)? {
            None => Ok(0),
            Some(bytes) => bytes
                .try_into()
                .map(i64::from_le_bytes)
                .map_err(|_| KeyValueError(format!("`{key}` holds no number"))),
        }
    }
}

impl KeyValue for SpinKeyValue {
    async fn keys(&self) -> Result<Vec<String>, KeyValueError> {
        let store = Store::open_default().await?;
        Ok(store.get_keys().await.collect().await?)
    }

    async fn delete(&self, key: &str) -> Result<(), KeyValueError> {
        Ok(Store::open_default().await?.delete(key).await?)
    }

    async fn value(&self, key: &str) -> Result<Option<Vec<u8>>, KeyValueError> {
        Ok(Store::open_default().await?.get(key).await?)
    }

    fn change(
        &self,
        key: &str,
        change: impl FnOnce(Option<Vec<u8>>) -> Vec<u8>,
    ) -> Result<bool, KeyValueError> {
        let bucket = store::open("default")?;
        let swap = atomics::Cas::new(&bucket, key)?;
        let current = swap.current()?;
        if current.is_none() {
            // Swapping against a missing key does not compare. Whoever raises the guard first creates it.
            let guard = format!("{key}:created");
            let place = atomics::increment(&bucket, &guard, 1)?;
            // The rest wait for the creator, but not for ever: it may have died.
            if place > 1 && place % 16 != 0 {
                return Ok(false);
            }
        }
        match atomics::swap(swap, &change(current)) {
            Ok(()) => Ok(true),
            Err(atomics::CasError::CasFailed(_)) => Ok(false),
            Err(atomics::CasError::StoreError(error)) => Err(error.into()),
        }
    }
}

impl From<StoreError> for KeyValueError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

impl From<store::Error> for KeyValueError {
    fn from(error: store::Error) -> Self {
        Self(match error {
            store::Error::NoSuchStore => "there is no store `default`".to_owned(),
            store::Error::AccessDenied => {
                "the component may not use the store `default`: `key_value_stores` in spin.toml lacks it".to_owned()
            }
            store::Error::Other(text) => text,
        })
    }
}
