//! A host at work, until it is told to end or another one takes its place.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::log_lines::{notice, warn};
use crate::server::Server;

/// How long requests may take to their end once the host is told to stop.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);

/// An application that serves.
pub struct Running {
    pub(super) signals: Signals,
    /// The server.
    pub server: Server,
    /// What tells an operator where and how it runs.
    pub banner: String,
}

impl Running {
    /// Serves until SIGTERM or SIGINT, or until another host takes over, then lets requests come to their end; a
    /// second signal ends at once. SIGHUP ends nothing.
    ///
    /// # Errors
    /// When signals cannot be received.
    pub async fn until_stopped(self) -> anyhow::Result<()> {
        let mut signals = self.signals;
        let why = tokio::select! {
            () = signals.next() => "Stopping",
            () = self.server.handed_over() => "Another process has taken over",
        };
        notice(&format!(
            "{why}: no new connections; waiting for what runs ({} to stop at once)",
            if why == "Stopping" {
                "again"
            } else {
                "SIGTERM"
            }
        ));
        tokio::select! {
            drained = self.server.drain(DRAIN_LIMIT) => if !drained {
                warn("Stopped: what still ran was cut");
            },
            () = signals.next() => warn("Stopped at once: what still ran was cut"),
        }
        Ok(())
    }
}

/// The signals that the host minds.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// From now on they end nothing by themselves.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next one that ends the process.
    pub(super) async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => notice(
                    "SIGHUP: nothing is read anew by it. For a new configuration restart this process, or start another one in its place (--hand-over)",
                ),
            }
        }
    }
}
