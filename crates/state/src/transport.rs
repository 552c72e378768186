//! The port of connections as a runtime gives them.

use std::future::Future;
use std::sync::Arc;

use spillway_platform::Clock;

use crate::RedisError;

/// How one Redis is reached: its connections are neither pooled nor opened again, and what is sent on one is answered
/// in its order.
pub trait Transport: Clock + Clone + 'static {
    /// A connection that stands, until it breaks.
    type Connection: 'static;
    /// What is sent.
    type Command: 'static;
    /// What comes back.
    type Answer: 'static;

    /// Opens one. It takes as long as it takes; whoever waits has a timer.
    ///
    /// # Errors
    /// [`RedisError`], where none comes to stand.
    fn open(&self) -> impl Future<Output = Result<Self::Connection, RedisError>> + 'static;

    /// Sends a command once polled, and waits for its answer for as long as it takes.
    ///
    /// # Errors
    /// [`RedisError`]: what Redis answered, or that the connection broke.
    fn execute(
        connection: Arc<Self::Connection>,
        command: Self::Command,
    ) -> impl Future<Output = Result<Self::Answer, RedisError>> + 'static;

    /// Begins a task of its own with the next event of the task at work.
    fn spawn(&self, task: impl Future<Output = ()> + 'static);

    /// Lets what is spawned begin.
    fn yield_now(&self) -> impl Future<Output = ()>;
}
