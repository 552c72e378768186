//! Opening connections to Redis.

use std::sync::Arc;

use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo as _, RedisError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Connection;
use super::reply::spin_error;
use crate::bindings::spin::redis::redis::Error;
use crate::component::Component;
use crate::harsh::redis_commands;
use crate::outbound::Destination;

/// Limits how many Redis connections the application holds.
#[derive(Debug, Clone, Default)]
pub struct RedisLimit {
    permits: Option<Arc<Semaphore>>,
}

impl RedisLimit {
    /// At most `max_connections` at once, if given; more wait.
    pub fn new(max_connections: Option<usize>) -> Self {
        Self {
            permits: max_connections.map(|limit| Arc::new(Semaphore::new(limit))),
        }
    }

    async fn acquire(&self) -> Result<Option<OwnedSemaphorePermit>, Error> {
        match &self.permits {
            None => Ok(None),
            Some(permits) => Arc::clone(permits)
                .acquire_owned()
                .await
                .map(Some)
                .map_err(|_| Error::TooManyConnections),
        }
    }
}

pub(super) async fn open(component: &Component, address: &str) -> Result<Connection, Error> {
    let destination = Destination::of_url(address, "redis").ok_or(Error::InvalidAddress)?;
    if !component.allowed.allow(&destination) {
        component.tell_refused(&destination.to_string());
        return Err(Error::InvalidAddress);
    }
    let permit = component.redis.acquire().await?;
    let connection = client(address, !component.harsh)
        .map_err(|_| Error::InvalidAddress)?
        .get_multiplexed_async_connection_with_config(&without_timeouts())
        .await
        .map_err(spin_error)?;
    Ok(Connection {
        connection,
        commands_left: component.harsh.then(redis_commands),
        _permit: permit,
    })
}

/// Knows a server without connecting to it. With `nodelay` what is written leaves at once, as many
/// share a connection and none should wait for the answer to another.
///
/// # Errors
/// When the address is none.
pub fn client(address: &str, nodelay: bool) -> Result<Client, RedisError> {
    let tcp = TcpSettings::default().set_nodelay(nodelay);
    Client::open(address.into_connection_info()?.set_tcp_settings(tcp))
}

/// The library's own timeouts are shorter than a blocking command may take.
fn without_timeouts() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
}
