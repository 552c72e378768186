//! Puts new versions in force.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::time::sleep;

use super::{Certificate, Version, VersionSource};
use crate::application::{Application, LiveApplication};
use crate::gateway_config::has_upstream;
use crate::log_lines::{notice, warn};

/// How often files are looked at: two looks and a start of instances are well within a second.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Watches an application's files.
pub struct Reloader {
    source: VersionSource,
    live: Arc<LiveApplication>,
    certificate: Option<Arc<Certificate>>,
    in_force: Version,
}

impl Reloader {
    /// Begins with the version that `live` was made of.
    pub const fn new(
        source: VersionSource,
        in_force: Version,
        live: Arc<LiveApplication>,
        certificate: Option<Arc<Certificate>>,
    ) -> Self {
        Self {
            source,
            live,
            certificate,
            in_force,
        }
    }

    /// Goes on for as long as it is polled. Reading files and putting a version together takes milliseconds, and is done
    /// beside the threads that serve.
    pub async fn run(mut self, mut hang_up: Signal) {
        loop {
            let asked = tokio::select! {
                _ = hang_up.recv() => true,
                () = sleep(LOOK_EVERY) => false,
            };
            let looked = tokio::task::spawn_blocking(move || {
                self.look(asked);
                self
            });
            // It fails with the process alone.
            let Ok(reloader) = looked.await else {
                return;
            };
            self = reloader;
        }
    }

    fn look(&mut self, asked: bool) {
        let files = self.source.files.have_changed(asked);
        if files {
            self.reload();
        }
        let renewed = self.certificate.as_ref();
        let renewed = renewed.filter(|certificate| certificate.have_changed(asked));
        if let Some(certificate) = renewed {
            match certificate.renew() {
                Ok(()) => notice("The certificate was read anew: new connections get it"),
                Err(error) => warn(&format!(
                    "the new certificate cannot be used, and the former stays in force: {error:#}"
                )),
            }
        }
        if asked && !files && renewed.is_none() {
            notice(
                if self.source.files.is_empty() && self.certificate.is_none() {
                    "SIGHUP: the configuration comes from no file that could be read anew"
                } else {
                    "SIGHUP: nothing has changed"
                },
            );
        }
    }

    fn reload(&mut self) {
        let reloads = Arc::clone(&self.live.base().reloads);
        match self.next() {
            Ok(None) => {
                if reloads.restored() {
                    notice("The configuration is again as it is in force");
                }
            }
            Ok(Some((version, application))) => {
                version.tell();
                self.live
                    .base()
                    .clients
                    .trust(version.trusted_proxies.clone());
                self.live.replace(application);
                reloads.loaded();
                notice(&format!(
                    "Version {} of the configuration is in force, in place of {}: for requests from now on",
                    version.name(),
                    self.in_force.name()
                ));
                self.in_force = version;
            }
            Err(error) => {
                reloads.refused();
                warn(&format!(
                    "{error:#}\nThe new configuration cannot be used, and version {} stays in force",
                    self.in_force.name()
                ));
            }
        }
    }

    /// The version that the files hold, put together; `None` where it is the one in force.
    fn next(&self) -> anyhow::Result<Option<(Version, Application)>> {
        let version = self.source.read()?;
        if version.is(&self.in_force) {
            return Ok(None);
        }
        if has_upstream(&self.in_force.config) && !has_upstream(&version.config) {
            anyhow::bail!("it publishes nothing: no agents, no models and no knowledge");
        }
        let base = self.live.base();
        let application = Application::new(base, &version.manifest, &version.variables)?;
        Ok(Some((version, application)))
    }
}
