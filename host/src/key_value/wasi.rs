//! `wasi:keyvalue/store` and `/atomics`, synchronous: while one of these runs, the instance does
//! nothing else.

use wasmtime::component::Resource;

use super::{CompareAndSwap, Store, StoreError};
use crate::bindings::spin::key_value::key_value::Error as SpinError;
use crate::bindings::wasi::keyvalue::atomics::{self, CasError};
use crate::bindings::wasi::keyvalue::store::{self, Error, KeyResponse};
use crate::instance::InstanceState;

type Answer<T> = wasmtime::Result<Result<T, Error>>;

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Other(error.0)
    }
}

impl store::Host for InstanceState {
    async fn open(&mut self, identifier: String) -> Answer<Resource<Store>> {
        Ok(self.open_store(&identifier)?.map_err(|error| match error {
            SpinError::AccessDenied => Error::AccessDenied,
            SpinError::NoSuchStore => Error::NoSuchStore,
            SpinError::StoreTableFull => Error::Other("store table full".to_owned()),
            SpinError::Other(message) => Error::Other(message),
        }))
    }
}

impl store::HostBucket for InstanceState {
    async fn get(&mut self, bucket: Resource<Store>, key: String) -> Answer<Option<Vec<u8>>> {
        let store = self.table.get(&bucket)?.clone();
        Ok(store.get(key).await.map_err(Error::from))
    }

    async fn set(&mut self, bucket: Resource<Store>, key: String, value: Vec<u8>) -> Answer<()> {
        let store = self.table.get(&bucket)?.clone();
        Ok(store.set(key, value).await.map_err(Error::from))
    }

    async fn delete(&mut self, bucket: Resource<Store>, key: String) -> Answer<()> {
        let store = self.table.get(&bucket)?.clone();
        Ok(store.delete(key).await.map_err(Error::from))
    }

    async fn exists(&mut self, bucket: Resource<Store>, key: String) -> Answer<bool> {
        let store = self.table.get(&bucket)?.clone();
        Ok(store.exists(key).await.map_err(Error::from))
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Store>,
        cursor: Option<String>,
    ) -> Answer<KeyResponse> {
        if cursor.is_some() {
            return Ok(Err(Error::Other(
                "list_keys gives all keys at once and takes no cursor".to_owned(),
            )));
        }
        let store = self.table.get(&bucket)?.clone();
        let keys = store.keys().await.map_err(Error::from);
        Ok(keys.map(|keys| KeyResponse { keys, cursor: None }))
    }

    async fn drop(&mut self, bucket: Resource<Store>) -> wasmtime::Result<()> {
        self.close_store(bucket)
    }
}

impl atomics::HostCas for InstanceState {
    async fn new(
        &mut self,
        bucket: Resource<Store>,
        key: String,
    ) -> Answer<Resource<CompareAndSwap>> {
        let store = self.table.get(&bucket)?.clone();
        Ok(match read(store, key).await {
            Ok(cas) => Ok(self.table.push(cas)?),
            Err(error) => Err(error.into()),
        })
    }

    async fn current(&mut self, cas: Resource<CompareAndSwap>) -> Answer<Option<Vec<u8>>> {
        let (store, key) = {
            let cas = self.table.get(&cas)?;
            (cas.store.clone(), cas.key.clone())
        };
        Ok(match store.get(key).await {
            Ok(value) => {
                self.table.get_mut(&cas)?.seen.clone_from(&value);
                Ok(value)
            }
            Err(error) => Err(error.into()),
        })
    }

    async fn drop(&mut self, cas: Resource<CompareAndSwap>) -> wasmtime::Result<()> {
        self.table.delete(cas)?;
        Ok(())
    }
}

impl atomics::Host for InstanceState {
    async fn increment(&mut self, bucket: Resource<Store>, key: String, delta: i64) -> Answer<i64> {
        let store = self.table.get(&bucket)?.clone();
        Ok(store.increment(key, delta).await.map_err(Error::from))
    }

    async fn swap(
        &mut self,
        cas: Resource<CompareAndSwap>,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), CasError>> {
        let CompareAndSwap { store, key, seen } = self.table.delete(cas)?;
        let swapped = store.swap(key.clone(), seen, value).await;
        Ok(match swapped {
            Ok(true) => Ok(()),
            // The caller gets a new one that has seen the present value, to try again with.
            Ok(false) => match read(store, key).await {
                Ok(cas) => Err(CasError::CasFailed(self.table.push(cas)?)),
                Err(error) => Err(CasError::StoreError(error.into())),
            },
            Err(error) => Err(CasError::StoreError(error.into())),
        })
    }
}

async fn read(store: Store, key: String) -> Result<CompareAndSwap, StoreError> {
    let seen = store.get(key.clone()).await?;
    Ok(CompareAndSwap { store, key, seen })
}
