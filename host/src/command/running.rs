//! A host at work, until it is told to end or another one takes its place.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::log_lines::{notice, warn};
use crate::reload::Reloader;
use crate::server::Server;

/// How long requests may take to their end once the host is told to stop.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);

/// An application that serves.
pub struct Running {
    pub(super) signals: Signals,
    pub(super) reloader: Reloader,
    /// The server.
    pub server: Server,
    /// What tells an operator where and how it runs.
    pub banner: String,
}

impl Running {
    /// Serves until SIGTERM or SIGINT, or until another host takes over, then lets requests come to their end; a
    /// second signal ends at once. Files that have changed meanwhile, and SIGHUP, put a new version in force.
    ///
    /// # Errors
    /// When signals cannot be received.
    pub async fn until_stopped(self) -> anyhow::Result<()> {
        let Signals {
            mut ending,
            hang_up,
        } = self.signals;
        let reloading = tokio::spawn(self.reloader.run(hang_up));
        let why = tokio::select! {
            () = ending.next() => "Stopping",
            () = self.server.handed_over() => "Another process has taken over",
        };
        reloading.abort();
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
            () = ending.next() => warn("Stopped at once: what still ran was cut"),
        }
        Ok(())
    }
}

/// The signals that the host minds. From when this is made on they end nothing by themselves.
pub(super) struct Signals {
    pub ending: EndingSignals,
    pub hang_up: Signal,
}

/// Those that end the process.
pub(super) struct EndingSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            ending: EndingSignals {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
            },
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

impl EndingSignals {
    /// The next one.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
