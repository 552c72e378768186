//! WebSockets, where the host can join connections: the embedded host can, Spin cannot.
//!
//! A component gets requests and answers them; it cannot take over a connection. The host does it for one that asks:
//! `x-gateway-join: KEY MILLISECONDS` in a request that it sends makes the host ask the upstream for a WebSocket. If
//! the upstream says 101, so does the answer that the component gets, with `x-gateway-join: NAME`. The host has kept
//! the connection by this name, and joins it with that of the client that gets an answer with the name in it, for as
//! long as the request said. Anything else the upstream says is an ordinary answer.

use std::time::Duration;

use super::SpinBody;
use spillway_platform::{Headers, IncomingBody};

/// The field of both messages. The host lets it out to nobody.
pub(super) const JOIN_FIELD: &str = "x-gateway-join";

/// Where the host tells its key. Spin tells none.
const KEY_VARIABLE: &str = "SPILLWAY_JOIN_KEY";

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
    /// The key, where the host can join connections.
    pub fn given() -> Option<Self> {
        std::env::var(KEY_VARIABLE)
            .ok()
            .filter(|key| !key.is_empty())
            .map(Self)
    }
}

/// A WebSocket to ask the upstream for.
#[derive(Debug, Clone, Copy)]
pub struct Join<'a> {
    /// The host's key.
    pub key: &'a JoinKey,
    /// How long the two connections may stay joined.
    pub longest: Duration,
}

impl Join<'_> {
    pub(super) fn field(&self) -> String {
        format!("{} {}", self.key.0, self.longest.as_millis())
    }
}

/// The name of an upstream's connection that the host keeps for the client that asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinName(pub(super) Vec<u8>);

impl JoinName {
    /// Puts it into the answer to the client.
    pub fn write_to(self, headers: &mut Headers) {
        headers.set(JOIN_FIELD, self.0);
    }
}

/// Waits until the connections are no longer joined, which is when the answer's body ends. Says whether that came in
/// order: one that fell silent or broke did not.
pub async fn end_of_join(mut body: SpinBody) -> bool {
    loop {
        match body.next().await {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}
