//! `spillway demo`: stand-ins for Dify, a model vendor and a retrieval engine, the gateway before them, and a handful of requests
//! that show what it does. Then it stays up, for the reader's own requests.

mod configuration;
mod show;

use anyhow::Context as _;
use spillway_standin::{RagflowOptions, ReservedPort, StandinDify, StandinModel, StandinRagflow};

use crate::command::UpArguments;
use crate::gateway_config;
use crate::log_lines::Destination;
use crate::reload::GivenValue;

/// What the demo's upstreams are and where.
struct Upstreams {
    dify: StandinDify,
    /// Nobody listens here: the first choice that is dead.
    dead: ReservedPort,
    spare: StandinModel,
    ragflow: StandinRagflow,
}

/// Runs the demo until it is told to stop.
///
/// # Errors
/// When the gateway cannot start, or one of the requests shown does not pass.
pub async fn run(mut arguments: UpArguments) -> anyhow::Result<()> {
    let upstreams = Upstreams {
        dify: StandinDify::start().context("the stand-in for Dify does not start")?,
        dead: ReservedPort::reserve().context("there is no free port")?,
        spare: StandinModel::start("spare")
            .context("the stand-in for a model vendor does not start")?,
        ragflow: StandinRagflow::start(RagflowOptions::default())
            .context("the stand-in for RAGFlow does not start")?,
    };
    let config = configuration::normal_form(&upstreams)?;
    arguments.variables.push((
        gateway_config::VARIABLE.to_owned(),
        GivenValue::Text(config),
    ));
    // One of them is dead, on purpose.
    arguments.skip_connect = true;
    arguments.additional_outbound_hosts = vec!["http://127.0.0.1:*".to_owned()];
    // Counters of a demo are nothing to keep; compiled components are.
    let state = tempfile::tempdir().context("no folder for the demo's state")?;
    if let Some(root) = arguments.from.parent() {
        arguments
            .cache_dir
            .get_or_insert_with(|| root.join(".spin/compiled"));
    }
    arguments
        .state_dir
        .get_or_insert_with(|| state.path().to_owned());
    let running = arguments.start().await?;
    say(&running.banner);
    show::all(running.server.http).await?;
    say(&configuration::curl_lines(running.server.http));
    running.until_stopped().await
}

fn say(text: &str) {
    Destination::Stdout.write(format!("{text}\n").as_bytes());
}
