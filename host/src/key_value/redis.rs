//! Key-value stores in a Redis database. The database has no labels: stores with the same URL share
//! their keys, as in Spin.

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands as _, Client, RedisError, Script};
use tokio::sync::OnceCell;

use super::StoreError;

/// Sets KEYS[1] to ARGV[2] if it holds ARGV[3] (ARGV[1] = "1") or nothing (ARGV[1] = "0").
const SWAP: &str = "
local held = redis.call('GET', KEYS[1])
if (ARGV[1] == '1' and held == ARGV[3]) or (ARGV[1] == '0' and not held) then
  redis.call('SET', KEYS[1], ARGV[2])
  return 1
end
return 0";

/// One Redis database.
pub struct RedisStore {
    client: Client,
    /// Reconnects by itself.
    connection: OnceCell<ConnectionManager>,
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The address may hold a password.
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        Self::new(error.to_string())
    }
}

impl RedisStore {
    /// Remembers the address; it is connected to when it is first used.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(url: &str) -> Result<Self, StoreError> {
        Ok(Self {
            client: crate::redis::client(url, true)?,
            connection: OnceCell::new(),
        })
    }

    async fn connection(&self) -> Result<ConnectionManager, StoreError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let connection = self
            .connection
            .get_or_try_init(|| self.client.get_connection_manager_with_config(config))
            .await?;
        Ok(connection.clone())
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.connection().await?.get(key).await?)
    }

    pub(super) async fn set(&self, key: &str, value: Vec<u8>) -> Result<(), StoreError> {
        Ok(self.connection().await?.set(key, value).await?)
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), StoreError> {
        Ok(self.connection().await?.del(key).await?)
    }

    pub(super) async fn exists(&self, key: &str) -> Result<bool, StoreError> {
        Ok(self.connection().await?.exists(key).await?)
    }

    pub(super) async fn keys(&self) -> Result<Vec<String>, StoreError> {
        let mut connection = self.connection().await?;
        let mut cursor = connection.scan::<String>().await?;
        let mut keys = Vec::new();
        while let Some(key) = cursor.next_item().await {
            keys.push(key?);
        }
        // A scan may meet a key more than once.
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    pub(super) async fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError> {
        Ok(self.connection().await?.incr(key, delta).await?)
    }

    pub(super) async fn swap(
        &self,
        key: &str,
        seen: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> Result<bool, StoreError> {
        let mut connection = self.connection().await?;
        let swapped: i64 = Script::new(SWAP)
            .key(key)
            .arg(if seen.is_some() { "1" } else { "0" })
            .arg(value)
            .arg(seen.unwrap_or_default())
            .invoke_async(&mut connection)
            .await?;
        Ok(swapped == 1)
    }
}
