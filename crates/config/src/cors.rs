//! Which web pages of other origins may call an API.

use serde::{Deserialize, Serialize};

use crate::TimeSpan;

/// Which web pages of other origins may call, as the Fetch standard's CORS protocol tells browsers. With it the
/// gateway answers preflight requests itself and its word replaces the back end's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "document", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CorsConfig {
    /// Origins such as `https://app.example.com` or `https://*.example.com`, or `*` for all.
    pub allow_origins: Vec<String>,
    /// Methods beyond GET, HEAD and POST.
    #[serde(default = "methods")]
    pub allow_methods: Vec<String>,
    /// Request headers. Empty: those that the page asks for.
    #[serde(default)]
    pub allow_headers: Vec<String>,
    /// Answer headers that pages may read.
    #[serde(default)]
    pub expose_headers: Vec<String>,
    /// Whether cookies may go along. Not with the origin `*`.
    #[serde(default)]
    pub allow_credentials: bool,
    /// How long a browser may keep the answer to a preflight request. 24 h.
    #[serde(default = "max_age")]
    pub max_age: TimeSpan,
}

fn methods() -> Vec<String> {
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        .map(str::to_owned)
        .to_vec()
}

fn max_age() -> TimeSpan {
    TimeSpan::from_secs(24 * 60 * 60)
}
