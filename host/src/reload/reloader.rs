//! Puts new versions in force.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::time::sleep;

use super::{Certificate, Version, VersionSource};
use crate::application::{Application, LiveApplication};
use crate::gateway_config::has_upstream;
use crate::log_lines::{error, notice};
use crate::trials::Trials;

/// How often files are looked at: two looks and a start of instances are well within a second.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Watches an application's files.
pub struct Reloader {
    source: VersionSource,
    live: Arc<LiveApplication>,
    certificate: Option<Arc<Certificate>>,
    in_force: Version,
    trials: Trials,
}

impl Reloader {
    /// Begins with the version that `live` was made of.
    pub const fn new(
        source: VersionSource,
        in_force: Version,
        live: Arc<LiveApplication>,
        certificate: Option<Arc<Certificate>>,
        trials: Trials,
    ) -> Self {
        Self {
            source,
            live,
            certificate,
            in_force,
            trials,
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
        let reloads = Arc::clone(&self.live.base().reloads);
        let (is_refused, certificate_is_refused) = reloads.are_refused();
        let files = self.source.files.have_changed(asked) || asked && is_refused;
        if files {
            self.reload(asked);
        }
        let renewed = self.certificate.as_ref().filter(|certificate| {
            certificate.have_changed(asked) || asked && certificate_is_refused
        });
        if let Some(certificate) = renewed {
            let renewal = certificate.renew();
            reloads.certificate(renewal.is_err());
            match renewal {
                Ok(()) => notice("The certificate was read anew: new connections get it"),
                Err(why) => error(&format!(
                    "The new certificate cannot be used, and the former stays in force: {why:#}"
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

    fn reload(&mut self, asked: bool) {
        let reloads = Arc::clone(&self.live.base().reloads);
        let former = self.in_force.name();
        match self.next() {
            Ok(None) => {
                if reloads.restored() {
                    notice(&format!(
                        "The files hold the configuration that is in force, version {former}, again"
                    ));
                } else if asked {
                    notice("SIGHUP: nothing has changed that means anything");
                }
            }
            Ok(Some((version, application))) => {
                version.tell();
                let base = self.live.base();
                base.clients.trust(version.trusted_proxies.clone());
                self.live.replace(application);
                reloads.loaded();
                self.trials.begin(&version, Some(&self.in_force));
                let name = version.name();
                notice(&if name == former {
                    format!(
                        "Other values of variables are in force, with version {name} of the configuration: for requests from now on"
                    )
                } else {
                    format!(
                        "Version {name} of the configuration is in force, in place of {former}: for requests from now on"
                    )
                });
                self.in_force = version;
            }
            Err(why) => {
                reloads.refused();
                error(&format!(
                    "The new configuration cannot be used, and version {former} stays in force:\n{why:#}"
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
        // At start components would say so themselves, to every request.
        version.gateway()?;
        if has_upstream(&self.in_force.config) && !has_upstream(&version.config) {
            anyhow::bail!(
                "{} publishes nothing: no agents, no models and no knowledge",
                self.source.name()
            );
        }
        let base = self.live.base();
        let application = Application::new(base, &version.manifest, &version.variables)?;
        Ok(Some((version, application)))
    }
}
