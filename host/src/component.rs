//! A component as the application runs it: what all its instances share.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use http::uri::Authority;
use wasmtime_wasi_http::Error;

use crate::answer::ErrorForm;
use crate::key_value::Backend;
use crate::log_lines::{Destination, warn_of};
use crate::manifest::MountedFiles;
use crate::outbound::{AllowedDestinations, HttpClients};
use crate::peers::Peers;
use crate::redis::RedisLimit;
use crate::reload::Reloads;
use crate::upgrade::Joins;

/// What an instance may see and reach.
#[derive(Debug)]
pub struct Component {
    /// Its id in the manifest.
    pub id: String,
    /// What its log lines begin with.
    pub log_prefix: Arc<str>,
    /// Where its stdout goes.
    pub stdout: Destination,
    /// Where its stderr goes.
    pub stderr: Destination,
    /// Its variables' values.
    pub variables: HashMap<String, String>,
    /// Its environment variables.
    pub environment: Vec<(String, String)>,
    /// The files of all components; it sees its own as `/`.
    pub files: Arc<MountedFiles>,
    /// The hosts that it may send to.
    pub allowed: AllowedDestinations,
    /// The key-value stores that it may open, by label.
    pub key_value_stores: HashMap<String, Backend>,
    /// Connections to upstreams, shared by all components.
    pub http: Arc<HttpClients>,
    /// Limits Redis connections, shared by all components.
    pub redis: RedisLimit,
    /// The application's other components; which hold this one.
    pub peers: Weak<Peers>,
    /// What the host's own errors look like at its routes.
    pub error_form: ErrorForm,
    /// See [`crate::harsh`].
    pub harsh: bool,
    /// Services' connections that wait for their clients, shared by all components.
    pub joins: Arc<Joins>,
    /// What became of new versions of the configuration.
    pub reloads: Arc<Reloads>,
}

impl Component {
    /// The application's components, this one among them.
    ///
    /// # Errors
    /// When the application has ended.
    pub fn peers(&self) -> Result<Arc<Peers>, Error> {
        self.peers.upgrade().ok_or(Error::DestinationNotFound)
    }

    /// Tells the operator what to add to the manifest; the component only learns that it was refused.
    pub fn tell_refused(&self, destination: &str) {
        warn_of(
            &self.id,
            &format!(
                "refused to send to {destination}: add \"{destination}\" to allowed_outbound_hosts of [component.{}] in spin.toml",
                self.id
            ),
        );
    }

    /// Tells why an exchange broke; the component only learns that it did.
    pub fn tell_broken(&self, upstream: &Authority, error: &dyn std::error::Error) {
        // The client's own words say only that it failed; what is below says why.
        let mut causes = Vec::new();
        let mut source = Some(error.source().unwrap_or(error));
        while let Some(error) = source {
            causes.push(error.to_string());
            source = error.source();
        }
        let words = causes.join(": ");
        warn_of(&self.id, &format!("{upstream}: {words}"));
    }
}
