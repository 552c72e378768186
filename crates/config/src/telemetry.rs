//! What the gateway tells its operator.

use serde::{Deserialize, Serialize};

/// What the gateway tells its operator besides its metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// The log: one line for each request, and what else happens.
    pub log: LogConfig,
}

/// The log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// How a line is written: `text` for people, `json` for programs. `text`.
    pub format: LogFormat,
    /// The least that is written: `error`, `warn`, `info` or `debug`. Requests that were served are `info`. `info`.
    pub level: LogLevel,
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Time, level and an event, then `name=value`.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// How much a line of the log matters; the most important is the least.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// The operator must act.
    Error,
    /// A request failed by no fault of its client, or something is out of order.
    Warn,
    /// What happens in good order, every request among that.
    #[default]
    Info,
    /// What helps to find a mistake.
    Debug,
}
