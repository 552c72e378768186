//! What the targets of one provider share besides its pool.

use std::sync::atomic::{AtomicBool, Ordering};

use spillway_config::Provider;
use spillway_platform::Headers;

use crate::{Dialect, StreamOptionsSent};

/// A provider's settings, and what has been learnt of it.
#[derive(Debug)]
pub(crate) struct ProviderSettings {
    /// The client's header fields that it gets besides those that all get, in lower case.
    forward_headers: Vec<String>,
    dialect: Dialect,
    stream_options: StreamOptionsSent,
    has_refused_them: AtomicBool,
}

impl ProviderSettings {
    pub(crate) fn new(provider: &Provider) -> Self {
        Self {
            forward_headers: provider.forward_headers.clone(),
            dialect: Dialect::of(provider.provider_type),
            stream_options: match (provider.stream_options, provider.provider_type) {
                (Some(true), _) => StreamOptionsSent::WithUsage,
                (Some(false), _) => StreamOptionsSent::AsAsked,
                (None, it) if it.is_asked_for_usage() => StreamOptionsSent::WithUsage,
                (None, _) => StreamOptionsSent::LeftOut,
            },
            has_refused_them: AtomicBool::new(false),
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

    /// How it gets the options of streams.
    pub(crate) fn stream_options(&self) -> StreamOptionsSent {
        match self.stream_options {
            StreamOptionsSent::WithUsage if self.has_refused_them.load(Ordering::Relaxed) => {
                StreamOptionsSent::AsAsked
            }
            options => options,
        }
    }

    /// It has refused to be asked.
    pub(crate) fn refuses_stream_options(&self) {
        self.has_refused_them.store(true, Ordering::Relaxed);
    }
}
