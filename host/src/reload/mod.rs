//! Live configuration: `gateway.yaml`, the files of variables' values and the TLS certificate are watched, and a version
//! that can be used takes the place of the one in force.
//!
//! **Rule.** Files are looked at five times a second. One that has changed is used once it is the same twice; one that was
//! written in place, as an editor may be writing still, half a second after the last write. SIGHUP has them used at once, and
//! tries again what could not be used. A version is read and checked as at start. One that can be used is put in force for
//! requests that come from then on; what runs keeps the version that it began with. One that cannot be used changes nothing,
//! and the log says what is wrong with it.

mod certificate;
mod files;
mod reloader;
mod source;

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use serde::Serialize;

pub use certificate::Certificate;
pub use reloader::Reloader;
pub use source::{ConfigSource, GivenValue, Version, VersionSource};

/// What has become of versions since the process began.
#[derive(Debug)]
pub struct Reloads(Mutex<ReloadCounts>);

/// As components get it, in the variable `spillway_reloads`.
#[derive(Debug, Clone, Copy, Serialize)]
struct ReloadCounts {
    /// When the version in force was read: seconds since 1970.
    loaded_at: u64,
    /// How many versions have taken the place of another.
    loaded: u64,
    /// How many could not be used; certificates among them.
    refused: u64,
    /// Whether the newest could not.
    is_refused: bool,
    /// Whether the newest certificate could not.
    certificate_is_refused: bool,
}

impl Default for Reloads {
    fn default() -> Self {
        Self(Mutex::new(ReloadCounts {
            loaded_at: now(),
            loaded: 0,
            refused: 0,
            is_refused: false,
            certificate_is_refused: false,
        }))
    }
}

impl Reloads {
    /// A version has been put in force.
    fn loaded(&self) {
        self.change(|counts| {
            counts.loaded = counts.loaded.saturating_add(1);
            counts.loaded_at = now();
            counts.is_refused = false;
        });
    }

    /// A version could not be used.
    fn refused(&self) {
        self.change(|counts| {
            counts.refused = counts.refused.saturating_add(1);
            counts.is_refused = true;
        });
    }

    /// The files are again as the version in force. Says whether they were not.
    fn restored(&self) -> bool {
        self.change(|counts| std::mem::replace(&mut counts.is_refused, false))
    }

    /// A certificate has been read that could be used, or could not.
    fn certificate(&self, is_refused: bool) {
        self.change(|counts| {
            counts.certificate_is_refused = is_refused;
            counts.refused = counts.refused.saturating_add(u64::from(is_refused));
        });
    }

    /// Whether what is in force is not the newest: the configuration, and the certificate.
    fn are_refused(&self) -> (bool, bool) {
        self.change(|counts| (counts.is_refused, counts.certificate_is_refused))
    }

    /// For components.
    pub fn json(&self) -> String {
        let counts = self.change(|counts| *counts);
        // Numbers cannot fail to be written.
        serde_json::to_string(&counts).unwrap_or_default()
    }

    fn change<T>(&self, change: impl FnOnce(&mut ReloadCounts) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |time| time.as_secs())
}
