//! `spin:redis`: connections that components open and hold. There is no pool and no timeout here, as
//! in Spin: a component shares its connection and races it against a timer.

mod connect;
mod reply;
mod trial;

use std::sync::Arc;

use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::component::{Accessor, Resource};

use self::connect::open;
use self::reply::{FlatResults, spin_error, too_large};
use crate::bindings::spin::redis::redis as spin_redis;
use crate::bindings::spin::redis::redis::{Error, Payload, RedisParameter, RedisResult};
use crate::instance::{HasInstance, InstanceState};

pub use self::connect::{RedisLimit, client};
pub use self::trial::try_out;

/// How many connections one instance may hold.
const MAX_CONNECTIONS_PER_INSTANCE: usize = 1024;

/// The largest result, in bytes.
pub const MAX_RESULT_BYTES: usize = 128 << 20;

/// What a guest holds as `spin:redis/redis.connection`.
pub struct Connection {
    connection: MultiplexedConnection,
    /// How many more commands it takes before it is dropped; set under `--harsh`.
    commands_left: Option<u32>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Connection {
    fn accepts_another(&mut self) -> bool {
        match &mut self.commands_left {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left = left.saturating_sub(1);
                true
            }
        }
    }
}

impl spin_redis::Host for InstanceState {}

impl spin_redis::HostConnection for InstanceState {
    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        self.open_redis_connections = self.open_redis_connections.saturating_sub(1);
        Ok(())
    }
}

type Answer<T> = wasmtime::Result<Result<T, Error>>;

fn held<T: Send>(
    accessor: &Accessor<T, HasInstance>,
    connection: &Resource<Connection>,
) -> wasmtime::Result<MultiplexedConnection> {
    accessor.with(|mut access| Ok(access.get().table.get(connection)?.connection.clone()))
}

impl<T: Send> spin_redis::HostConnectionWithStore<T> for HasInstance {
    async fn open(accessor: &Accessor<T, Self>, address: String) -> Answer<Resource<Connection>> {
        let component = accessor.with(|mut access| Arc::clone(access.get().component()));
        let opened = match open(&component, &address).await {
            Ok(opened) => opened,
            Err(error) => return Ok(Err(error)),
        };
        accessor.with(|mut access| {
            let state = access.get();
            if state.open_redis_connections >= MAX_CONNECTIONS_PER_INSTANCE {
                return Ok(Err(Error::TooManyConnections));
            }
            state.open_redis_connections = state.open_redis_connections.saturating_add(1);
            Ok(Ok(state.table.push(opened)?))
        })
    }

    async fn publish(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        channel: String,
        payload: Payload,
    ) -> Answer<()> {
        let mut connection = held(accessor, &connection)?;
        Ok(connection
            .publish(channel, payload)
            .await
            .map_err(spin_error))
    }

    async fn get(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        key: String,
    ) -> Answer<Option<Payload>> {
        let mut connection = held(accessor, &connection)?;
        let value: Result<Option<Payload>, Error> = connection.get(key).await.map_err(spin_error);
        Ok(value.and_then(|value| match &value {
            Some(bytes) if bytes.len() > MAX_RESULT_BYTES => Err(too_large()),
            _ => Ok(value),
        }))
    }

    async fn set(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        key: String,
        value: Payload,
    ) -> Answer<()> {
        let mut connection = held(accessor, &connection)?;
        Ok(connection.set(key, value).await.map_err(spin_error))
    }

    async fn incr(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        key: String,
    ) -> Answer<i64> {
        let mut connection = held(accessor, &connection)?;
        Ok(connection.incr(key, 1).await.map_err(spin_error))
    }

    async fn del(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        keys: Vec<String>,
    ) -> Answer<u32> {
        let mut connection = held(accessor, &connection)?;
        Ok(connection.del(keys).await.map_err(spin_error))
    }

    async fn sadd(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        key: String,
        values: Vec<String>,
    ) -> Answer<u32> {
        let mut connection = held(accessor, &connection)?;
        Ok(connection.sadd(key, values).await.map_err(spin_error))
    }

    async fn smembers(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        key: String,
    ) -> Answer<Vec<String>> {
        let mut connection = held(accessor, &connection)?;
        Ok(connection.smembers(key).await.map_err(spin_error))
    }

    async fn srem(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        key: String,
        values: Vec<String>,
    ) -> Answer<u32> {
        let mut connection = held(accessor, &connection)?;
        Ok(connection.srem(key, values).await.map_err(spin_error))
    }

    async fn execute(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        command: String,
        arguments: Vec<RedisParameter>,
    ) -> Answer<Vec<RedisResult>> {
        let usable = accessor.with(|mut access| -> wasmtime::Result<bool> {
            Ok(access.get().table.get_mut(&connection)?.accepts_another())
        })?;
        if !usable {
            return Ok(Err(Error::Other("broken pipe".to_owned())));
        }
        let mut connection = held(accessor, &connection)?;
        let mut command = redis::cmd(&command);
        for argument in arguments {
            match argument {
                RedisParameter::Int64(number) => command.arg(number),
                RedisParameter::Binary(bytes) => command.arg(bytes),
            };
        }
        let results: Result<FlatResults, Error> = command
            .query_async(&mut connection)
            .await
            .map_err(spin_error);
        Ok(results.and_then(|results| {
            if results.size() > MAX_RESULT_BYTES {
                Err(too_large())
            } else {
                Ok(results.into_list())
            }
        }))
    }
}
