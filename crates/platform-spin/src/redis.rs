//! Redis through the runtime, as a transport: one connection after another, each as it comes.

mod message;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use spillway_platform::{Clock, Waiting};
use spillway_state::{ConnectionManager, RedisConnection, RedisError, Reply, Transport};
use spin_sdk::redis::{Connection, RedisParameter};
use spin_sdk::wasip3::spawn;

use self::message::{error_of, parameters, reply_of};
use super::clock::SpinClock;
use super::turn::next_turn;

/// The connections to one address.
#[derive(Debug, Clone)]
struct SpinTransport {
    address: Arc<str>,
}

/// One connection of this instance, opened when first needed.
#[derive(Debug)]
pub struct SpinRedis(ConnectionManager<SpinTransport>);

impl SpinRedis {
    /// To this address.
    pub fn new(address: &str) -> Self {
        let address = Arc::from(address);
        Self(ConnectionManager::new(SpinTransport { address }))
    }
}

impl Clock for SpinTransport {
    fn now(&self) -> Duration {
        SpinClock.now()
    }

    fn since_1970(&self) -> Duration {
        SpinClock.since_1970()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + 'static {
        SpinClock.sleep(duration)
    }
}

impl Transport for SpinTransport {
    type Connection = Connection;
    type Command = (String, Vec<RedisParameter>);
    type Answer = Vec<Reply>;

    fn open(&self) -> impl Future<Output = Result<Connection, RedisError>> + 'static {
        let address = Arc::clone(&self.address);
        async move { Connection::open(&address).await.map_err(error_of) }
    }

    async fn execute(
        connection: Arc<Connection>,
        (command, parameters): Self::Command,
    ) -> Result<Vec<Reply>, RedisError> {
        let results = connection.execute(&command, parameters).await;
        let results = results.map_err(error_of)?;
        Ok(results.into_iter().map(reply_of).collect())
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        spawn(task);
    }

    async fn yield_now(&self) {
        next_turn().await;
    }
}

impl RedisConnection for SpinRedis {
    async fn execute(
        &self,
        command: &str,
        texts: &[String],
        waiting: Waiting,
    ) -> Result<Vec<Reply>, RedisError> {
        let make = || (command.to_owned(), parameters(texts));
        self.0.execute(make, waiting).await
    }

    fn distance(&self) -> Option<Duration> {
        self.0.distance()
    }

    fn another(&self) -> Self {
        Self(self.0.another())
    }
}
