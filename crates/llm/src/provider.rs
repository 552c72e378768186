//! What the targets of one provider share besides its pool.

use std::sync::atomic::{AtomicBool, Ordering};

use spillway_config::Provider;
use spillway_platform::Headers;

use crate::Dialect;

/// A provider's settings, and what has been learnt of it.
#[derive(Debug)]
pub(crate) struct ProviderSettings {
    /// The client's header fields that it gets besides those that all get, in lower case.
    forward_headers: Vec<String>,
    dialect: Dialect,
    accepts_stream_options: AtomicBool,
}

impl ProviderSettings {
    pub(crate) fn new(provider: &Provider) -> Self {
        Self {
            forward_headers: provider.forward_headers.clone(),
            dialect: Dialect::of(provider.provider_type),
            accepts_stream_options: AtomicBool::new(provider.asks_usage()),
        }
    }

    /// Appends those of a client's header fields that the configuration lets through.
    pub(crate) fn forward(&self, from_client: &Headers, to: &mut Headers) {
        for (name, value) in from_client.iter() {
            if self.forward_headers.iter().any(|known| known == name) {
                to.append(name, value);
            }
        }
    }

    /// What it speaks.
    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Whether streams may be asked for their usage.
    pub(crate) fn accepts_stream_options(&self) -> bool {
        self.accepts_stream_options.load(Ordering::Relaxed)
    }

    /// It has refused to be asked.
    pub(crate) fn refuses_stream_options(&self) {
        self.accepts_stream_options.store(false, Ordering::Relaxed);
    }
}
