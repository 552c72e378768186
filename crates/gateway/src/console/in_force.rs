//! Which configuration is in force, and what has become of newer ones.

use serde::{Deserialize, Serialize};
use spillway_config::Moment;
use spillway_platform::Platform;

/// The embedded host's own variable: what has become of versions since it began. Spin has no such variable: there a
/// version is in force for as long as an instance lives.
const RELOADS: &str = "spillway_reloads";

/// The configuration of an instance.
pub(super) struct InForce {
    version: String,
    /// When the instance read it.
    read_at: u64,
}

/// As health tells it.
#[derive(Serialize)]
pub(super) struct ConfigHealth {
    version: String,
    loaded_at: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<&'static str>,
}

/// What the embedded host says.
#[derive(Deserialize)]
struct Reloads {
    /// When the version in force was read: seconds since 1970.
    loaded_at: u64,
    loaded: u64,
    refused: u64,
    is_refused: bool,
    certificate_is_refused: bool,
}

impl Reloads {
    /// What of the newest is not in force.
    const fn refusal(&self) -> Option<&'static str> {
        match (self.is_refused, self.certificate_is_refused) {
            (true, _) => Some("the newest configuration cannot be used; the log says why"),
            (false, true) => Some("the newest certificate cannot be used; the log says why"),
            (false, false) => None,
        }
    }
}

impl InForce {
    pub fn new<P: Platform>(platform: &P, version: String) -> Self {
        let read_at = platform.since_1970().as_secs();
        Self { version, read_at }
    }

    /// For health.
    pub async fn health<P: Platform>(&self, platform: &P) -> ConfigHealth {
        let reloads = reloads(platform).await;
        ConfigHealth {
            version: self.version.clone(),
            loaded_at: self.loaded_at(reloads.as_ref()),
            refused: reloads.as_ref().and_then(Reloads::refusal),
        }
    }

    /// Lines of the metrics.
    pub async fn metrics<P: Platform>(&self, platform: &P) -> String {
        let reloads = reloads(platform).await;
        let mut lines = gauge(
            "spillway_config_info",
            "Which configuration is in force.",
            &format!("{{version=\"{}\"}} 1", self.version),
        );
        lines.push_str(&gauge(
            "spillway_config_last_reload_success_timestamp_seconds",
            "When it was read.",
            &format!(" {}", self.loaded_at(reloads.as_ref()).unix_seconds()),
        ));
        if let Some(reloads) = reloads {
            lines.push_str(&gauge(
                "spillway_config_last_reload_successful",
                "Whether the newest configuration and certificate are those in force.",
                &format!(" {}", u8::from(reloads.refusal().is_none())),
            ));
            let name = "spillway_config_reloads_total";
            lines.push_str(&format!(
                "# HELP {name} New configurations since this process began.\n# TYPE {name} counter\n{name}{{result=\"loaded\"}} {}\n{name}{{result=\"refused\"}} {}\n",
                reloads.loaded, reloads.refused
            ));
        }
        lines
    }

    fn loaded_at(&self, reloads: Option<&Reloads>) -> Moment {
        Moment::from_unix_seconds(reloads.map_or(self.read_at, |reloads| reloads.loaded_at))
    }
}

fn gauge(name: &str, help: &str, value: &str) -> String {
    format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name}{value}\n")
}

async fn reloads<P: Platform>(platform: &P) -> Option<Reloads> {
    let said = platform.variable(RELOADS).await.ok()??;
    serde_json::from_str(&said).ok()
}
