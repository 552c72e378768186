//! `/_gateway/metrics`.

use std::collections::BTreeMap;

use http::StatusCode;
use spillway_config::Gateway;
use spillway_platform::{Platform, State};
use spillway_surface::LocalReply;
use spillway_telemetry::{Reason, render, totals_version};
use spillway_upstream::key_digest;

use super::Console;
use crate::Log;

impl<P: Platform> Console<P> {
    pub(super) async fn metrics(&self) -> LocalReply {
        match self.state.totals(&totals_version()).await {
            Ok(totals) => {
                let totals: BTreeMap<String, u64> = totals.into_iter().collect();
                let config = self.in_force.metrics(&self.platform).await;
                LocalReply::document(
                    StatusCode::OK,
                    Reason::Ok,
                    "text/plain; version=0.0.4; charset=utf-8",
                    format!("{}{}{config}", render(&totals), self.key_expiries),
                )
            }
            Err(error) => no_metrics(&self.log, Reason::StateUnavailable, &error.to_string()),
        }
    }
}

pub(super) fn no_metrics<P: Platform>(log: &Log<P>, reason: Reason, problem: &str) -> LocalReply {
    log.warn(&format!("metrics: {problem}"));
    LocalReply::error(
        StatusCode::SERVICE_UNAVAILABLE,
        reason,
        "The totals cannot be read. The log says why.",
    )
}

/// When providers' keys run out: the one thing here that is read off the configuration, as an alarm has to go off
/// before anything fails.
pub(super) fn key_expiries(gateway: &Gateway) -> String {
    const NAME: &str = "spillway_provider_key_expiry_timestamp_seconds";
    let mut lines = String::new();
    for provider in &gateway.providers {
        for key in &provider.api_keys {
            if let Some(expires) = key.expires {
                lines.push_str(&format!(
                    "{NAME}{{provider=\"{}\",key=\"{}\"}} {}\n",
                    provider.name,
                    key_digest(&key.key),
                    expires.unix_seconds()
                ));
            }
        }
    }
    if lines.is_empty() {
        return lines;
    }
    format!("# HELP {NAME} When a provider's key is no longer used.\n# TYPE {NAME} gauge\n{lines}")
}
