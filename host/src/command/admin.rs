//! Asking the admin API of a running gateway, whichever host it runs on.

use anyhow::{Context as _, bail};
use bytes::Bytes;
use clap::Args;
use http::{Request, StatusCode, header};
use http_body_util::Full;
use url::Url;

use crate::tls;
use crate::trials::Sender;

/// Where the gateway is, and what opens it.
#[derive(Clone, Args)]
pub struct AdminArguments {
    /// The address of a running gateway, whichever host it runs on.
    #[arg(
        long,
        value_name = "URL",
        env = "SPILLWAY_URL",
        default_value = "http://127.0.0.1:3000"
    )]
    pub url: Url,

    /// The gateway's `admin.token`. Only from the environment, as others see what stands on a command line.
    #[arg(skip = std::env::var("SPILLWAY_ADMIN_TOKEN").unwrap_or_default())]
    pub token: String,
}

// The token stays out.
impl std::fmt::Debug for AdminArguments {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "AdminArguments({})", self.url)
    }
}

/// What a path below `/_gateway/api/` answers, a JSON document.
///
/// # Errors
/// Why there is none, in words that say what to do.
pub(super) fn ask(
    arguments: &AdminArguments,
    path: &str,
    query: &[(&str, &str)],
) -> anyhow::Result<Bytes> {
    let AdminArguments { url, token } = arguments;
    if token.is_empty() {
        bail!(
            "SPILLWAY_ADMIN_TOKEN is not set: set it to the gateway's `admin.token`, which gateway.yaml names"
        );
    }
    if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
        bail!("--url {url}: write an address such as http://127.0.0.1:3000");
    }
    let mut address = url.clone();
    address.set_path(&format!(
        "{}/_gateway/api/{path}",
        url.path().trim_end_matches('/')
    ));
    if !query.is_empty() {
        address.query_pairs_mut().extend_pairs(query);
    }
    let request = Request::get(address.as_str())
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Full::default())
        .context("SPILLWAY_ADMIN_TOKEN has letters that a header cannot have")?;
    tls::install_provider();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let answer = runtime.block_on(Sender::new().send(request));
    let answer = answer.map_err(|problem| anyhow::anyhow!("the gateway at {url} {problem}"))?;
    match answer.status {
        StatusCode::OK => Ok(answer.body),
        StatusCode::UNAUTHORIZED => bail!(
            "the gateway at {url} does not take this token: SPILLWAY_ADMIN_TOKEN must be what its `admin.token` is"
        ),
        StatusCode::NOT_FOUND => bail!(
            "the gateway at {url} has no admin API: write admin: {{ token: \"{{{{ admin_token }}}}\" }} into its gateway.yaml, and set that variable. If it has one, what stands before it does not pass /_gateway/ on"
        ),
        status => bail!(
            "the gateway at {url} answers {status}: {}",
            words(&answer.body)
        ),
    }
}

/// What an answer says of itself.
fn words(body: &[u8]) -> String {
    let document: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let message = document.as_ref().and_then(|it| it.get("message")?.as_str());
    message.map_or_else(
        || String::from_utf8_lossy(body).chars().take(200).collect(),
        str::to_owned,
    )
}
