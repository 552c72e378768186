//! The tables of a `spin.toml` (manifest version 2), as written. A key that is not here is refused
//! with its line: what this host would silently ignore, an operator would miss at run time.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;

use crate::answer::ErrorForm;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub spin_manifest_version: Spanned<i64>,
    pub application: Application,
    #[serde(default)]
    pub variables: BTreeMap<Spanned<String>, Variable>,
    pub trigger: Triggers,
    #[serde(default)]
    pub component: BTreeMap<Spanned<String>, Component>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Application {
    pub name: String,
    pub version: Option<String>,
    #[serde(rename = "description")]
    _description: Option<IgnoredAny>,
    #[serde(rename = "authors")]
    _authors: Option<IgnoredAny>,
    #[serde(rename = "targets")]
    _targets: Option<IgnoredAny>,
    #[serde(rename = "tool")]
    _tool: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Variable {
    pub default: Option<String>,
    #[serde(default)]
    pub required: bool,
    #[serde(default)]
    pub secret: bool,
    #[serde(rename = "description")]
    _description: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Triggers {
    pub http: Vec<HttpTrigger>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HttpTrigger {
    #[serde(rename = "id")]
    _id: Option<IgnoredAny>,
    pub component: Spanned<String>,
    pub route: Spanned<Route>,
    pub executor: Option<Executor>,
}

#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "a route is a path such as \"/x/...\", or { private = true }"
)]
pub(super) enum Route {
    Path(String),
    Private(PrivateRoute),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PrivateRoute {
    pub private: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Executor {
    #[serde(rename = "type")]
    pub kind: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Component {
    pub source: Source,
    pub description: Option<String>,
    #[serde(default)]
    pub variables: BTreeMap<Spanned<String>, Spanned<String>>,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    #[serde(default)]
    pub files: Vec<Files>,
    #[serde(default)]
    pub exclude_files: Vec<String>,
    #[serde(default)]
    pub allowed_outbound_hosts: Vec<Spanned<String>>,
    #[serde(default)]
    pub key_value_stores: Vec<String>,
    #[serde(rename = "targets")]
    _targets: Option<IgnoredAny>,
    #[serde(rename = "build")]
    _build: Option<IgnoredAny>,
    #[serde(default)]
    pub tool: ComponentTools,
}

/// Settings of tools. Spin ignores them; other tools' are none of this host's business.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ComponentTools {
    #[serde(default)]
    pub spillway: OwnSettings,
}

/// What this host reads.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnSettings {
    #[serde(default)]
    pub errors: ErrorForm,
}

#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "a source is the path of a .wasm file; other sources are not known"
)]
pub(super) enum Source {
    File(String),
}

#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "files are paths or patterns such as \"assets/**/*\", or { source = \"…\", destination = \"/…\" }"
)]
pub(super) enum Files {
    Pattern(String),
    Placed(PlacedFiles),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlacedFiles {
    pub source: String,
    pub destination: String,
}
