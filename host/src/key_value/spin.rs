//! `spin:key-value`, asynchronous.

use wasmtime::component::{Accessor, FutureReader, Resource, StreamReader};

use super::{MAX_STORES_PER_INSTANCE, Store, StoreError};
use crate::bindings::spin::key_value::key_value as spin_key_value;
use crate::bindings::spin::key_value::key_value::Error;
use crate::instance::{HasInstance, InstanceState};
use crate::redis::MAX_RESULT_BYTES;

type Answer<T> = wasmtime::Result<Result<T, Error>>;

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Other(error.0)
    }
}

impl spin_key_value::Host for InstanceState {}

impl spin_key_value::HostStore for InstanceState {
    async fn drop(&mut self, store: Resource<Store>) -> wasmtime::Result<()> {
        self.close_store(store)
    }
}

impl InstanceState {
    /// Opens a store for the guest, or says why not.
    pub(super) fn open_store(&mut self, label: &str) -> Answer<Resource<Store>> {
        let Some(backend) = self.component().key_value_stores.get(label).cloned() else {
            return Ok(Err(Error::AccessDenied));
        };
        if self.open_stores >= MAX_STORES_PER_INSTANCE {
            return Ok(Err(Error::StoreTableFull));
        }
        self.open_stores = self.open_stores.saturating_add(1);
        Ok(Ok(self.table.push(Store { backend })?))
    }

    pub(super) fn close_store(&mut self, store: Resource<Store>) -> wasmtime::Result<()> {
        self.table.delete(store)?;
        self.open_stores = self.open_stores.saturating_sub(1);
        Ok(())
    }
}

fn held<T: Send>(
    accessor: &Accessor<T, HasInstance>,
    store: &Resource<Store>,
) -> wasmtime::Result<Store> {
    accessor.with(|mut access| Ok(access.get().table.get(store)?.clone()))
}

impl<T: Send> spin_key_value::HostStoreWithStore<T> for HasInstance {
    async fn open(accessor: &Accessor<T, Self>, label: String) -> Answer<Resource<Store>> {
        accessor.with(|mut access| access.get().open_store(&label))
    }

    async fn get(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        key: String,
    ) -> Answer<Option<Vec<u8>>> {
        let value = held(accessor, &store)?.get(key).await;
        Ok(match value {
            Ok(Some(value)) if value.len() > MAX_RESULT_BYTES => Err(Error::Other(format!(
                "the value is larger than {MAX_RESULT_BYTES} bytes"
            ))),
            other => other.map_err(Error::from),
        })
    }

    async fn set(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        key: String,
        value: Vec<u8>,
    ) -> Answer<()> {
        let set = held(accessor, &store)?.set(key, value).await;
        Ok(set.map_err(Error::from))
    }

    async fn delete(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        key: String,
    ) -> Answer<()> {
        let deleted = held(accessor, &store)?.delete(key).await;
        Ok(deleted.map_err(Error::from))
    }

    async fn exists(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        key: String,
    ) -> Answer<bool> {
        let exists = held(accessor, &store)?.exists(key).await;
        Ok(exists.map_err(Error::from))
    }

    async fn get_keys(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
    ) -> wasmtime::Result<(StreamReader<String>, FutureReader<Result<(), Error>>)> {
        let (keys, outcome) = match held(accessor, &store)?.keys().await {
            Ok(keys) => (keys, Ok(())),
            Err(error) => (Vec::new(), Err(Error::from(error))),
        };
        accessor.with(|mut access| {
            let keys = StreamReader::new(&mut access, keys)?;
            let outcome =
                FutureReader::new(&mut access, async move { wasmtime::error::Ok(outcome) })?;
            Ok((keys, outcome))
        })
    }
}
