//! `/_gateway/health/ready`.

use http::StatusCode;
use serde_json::json;
use spillway_platform::{Platform, State};
use spillway_state::Distance;
use spillway_surface::LocalReply;
use spillway_telemetry::Reason;

use super::Console;
use super::in_force::ConfigHealth;
use crate::Log;

impl<P: Platform> Console<P> {
    /// Ready: every policy that lets nothing pass without the store can use it. Where all of them let requests pass
    /// then, a store that is gone is told, but is no reason to send no requests here; nor is one that is far away.
    pub(super) async fn ready(&self) -> LocalReply {
        let distance = self.state.probe().await;
        let config = self.in_force.health(&self.platform).await;
        let problem =
            match distance.map(|distance| Distance::of(distance, self.timeout, &self.redis)) {
                Ok(Distance::Near) => {
                    let body = json!({ "status": "ready", "config": config });
                    return LocalReply::json(StatusCode::OK, Reason::Ok, &body);
                }
                Ok(Distance::Far(message)) => return degraded(&message, &config),
                Ok(Distance::TooFar(message)) => message,
                Err(error) => format!("the store does not answer: {error}"),
            };
        if self.requires_store {
            not_ready(&self.log, Reason::StateUnavailable, &problem, Some(&config))
        } else {
            degraded(&problem, &config)
        }
    }
}

fn degraded(problem: &str, config: &ConfigHealth) -> LocalReply {
    let body = json!({ "status": "ready", "degraded": problem, "config": config });
    LocalReply::json(StatusCode::OK, Reason::Ok, &body)
}

pub(super) fn not_ready<P: Platform>(
    log: &Log<P>,
    reason: Reason,
    problem: &str,
    config: Option<&ConfigHealth>,
) -> LocalReply {
    log.warn(&format!("not ready: {problem}"));
    let body = match config {
        None => json!({ "status": "not ready", "problem": problem }),
        Some(config) => {
            json!({ "status": "not ready", "problem": problem, "config": config })
        }
    };
    LocalReply::json(StatusCode::SERVICE_UNAVAILABLE, reason, &body)
}
