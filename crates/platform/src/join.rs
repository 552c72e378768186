//! WebSockets, where the host can join connections: the embedded host can, Spin cannot.
//!
//! A component gets requests and answers them; it cannot take over a connection. The host does it for one that asks:
//! `x-gateway-join: KEY MILLISECONDS` in a request that it sends makes the host ask the upstream for a WebSocket. If
//! the upstream says 101, so does the answer that the component gets, with `x-gateway-join: NAME`. The host has kept
//! the connection by this name, and joins it with that of the client that gets an answer with the name in it, for as
//! long as the request said. Anything else the upstream says is an ordinary answer.

use std::time::Duration;

use crate::Headers;

/// The field of both messages. The host lets it out to nobody.
pub const JOIN_FIELD: &str = "x-gateway-join";

/// What the host knows its own components by, so that no client and no upstream can pass for one.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinKey(String);

// The key stays out.
impl std::fmt::Debug for JoinKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("JoinKey")
    }
}

impl JoinKey {
    /// As the host told it.
    pub fn new(key: String) -> Self {
        Self(key)
    }
}

/// A WebSocket to ask the upstream for.
#[derive(Debug, Clone, Copy)]
pub struct Join<'a> {
    /// The host's key.
    pub key: &'a JoinKey,
    /// How long the two connections may stay joined.
    pub max_duration: Duration,
}

impl Join<'_> {
    /// The value of [`JOIN_FIELD`] in a request.
    pub fn field(&self) -> String {
        format!("{} {}", self.key.0, self.max_duration.as_millis())
    }
}

/// The name of an upstream's connection that the host keeps for the client that asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinName(Vec<u8>);

impl JoinName {
    /// As the host gave it.
    pub fn new(name: Vec<u8>) -> Self {
        Self(name)
    }

    /// Puts it into the answer to the client.
    pub fn write_to(self, headers: &mut Headers) {
        headers.set(JOIN_FIELD, self.0);
    }
}
