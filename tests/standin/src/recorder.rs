//! What a stand-in has seen, and waiting for it.

use std::time::Duration;

use tokio::sync::watch;

use crate::{RecordedRequest, StandinError};

/// How long a test waits for something to be seen.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a stand-in has seen so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) requests: Vec<RecordedRequest>,
    /// Bytes of request bodies, those of unfinished requests included.
    pub(crate) body_bytes: u64,
    /// Connections that the peer closed while a request or its answer was in flight.
    pub(crate) disconnects: usize,
    /// Connections taken.
    pub(crate) connections: u64,
}

/// Keeps what a stand-in has seen.
#[derive(Debug)]
pub(crate) struct Recorder(watch::Sender<Seen>);

impl Recorder {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Seen::default()))
    }

    /// Counts a connection and gives its number, from 1.
    pub(crate) fn connection(&self) -> u64 {
        let mut number = 0;
        self.0.send_modify(|seen| {
            seen.connections = seen.connections.saturating_add(1);
            number = seen.connections;
        });
        number
    }

    pub(crate) fn request(&self, request: RecordedRequest) {
        self.0.send_modify(|seen| seen.requests.push(request));
    }

    pub(crate) fn body_bytes(&self, count: u64) {
        if count > 0 {
            self.0
                .send_modify(|seen| seen.body_bytes = seen.body_bytes.saturating_add(count));
        }
    }

    pub(crate) fn disconnect(&self) {
        self.0
            .send_modify(|seen| seen.disconnects = seen.disconnects.saturating_add(1));
    }

    /// Reads what has been seen.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.0.borrow())
    }

    /// Waits until `look` finds something.
    ///
    /// # Errors
    /// After 30 s, with a summary of what was seen instead.
    pub(crate) async fn wait<T>(
        &self,
        what: impl Into<String>,
        mut look: impl FnMut(&Seen) -> Option<T>,
    ) -> Result<T, StandinError> {
        let mut receiver = self.0.subscribe();
        let mut found = None;
        let waiting = receiver.wait_for(|seen| {
            found = look(seen);
            found.is_some()
        });
        let _ = tokio::time::timeout(PATIENCE, waiting).await;
        found.ok_or_else(|| StandinError::Waited {
            what: what.into(),
            patience: PATIENCE,
            seen: self.read(summary),
        })
    }
}

fn summary(seen: &Seen) -> String {
    let line = |request: &RecordedRequest| format!("{} {}", request.method, request.target);
    let requests: Vec<String> = seen.requests.iter().map(line).collect();
    format!(
        "{} connections, {} disconnects, {} body bytes, requests {requests:?}",
        seen.connections, seen.disconnects, seen.body_bytes
    )
}
