//! What can go wrong at either end.

use std::{io, time::Duration};

/// What can go wrong at either end.
#[derive(Debug, thiserror::Error)]
pub enum StandinError {
    /// The socket failed: no port, refused, reset.
    #[error("the socket failed: {0}")]
    Socket(#[from] io::Error),
    /// Something awaited did not come.
    #[error("waited {} s for {what}; seen so far: {seen}", patience.as_secs())]
    Waited {
        /// What was awaited.
        what: String,
        /// How long.
        patience: Duration,
        /// What came instead.
        seen: String,
    },
    /// The peer closed the connection before a whole answer head had come.
    #[error("the connection ended before the head of an answer; received: {received:?}")]
    NoHead {
        /// The bytes before the end, as text.
        received: String,
    },
    /// What came is no HTTP/1.1.
    #[error("no HTTP/1.1: {0}")]
    NotHttp(String),
}

impl StandinError {
    /// Whether the peer refused the connection.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Socket(error) if error.kind() == io::ErrorKind::ConnectionRefused)
    }
}
