//! The demo's configuration, and the curl lines that go with it.

use std::net::SocketAddr;

use super::Upstreams;
use crate::gateway_config::GatewayConfig;

/// The demo's consumer key.
pub(super) const KEY: &str = "sk-demo";

/// As an operator would write it, with the stand-ins' addresses put in.
const DOCUMENT: &str = include_str!("gateway.yaml");

pub(super) fn normal_form(upstreams: &Upstreams) -> anyhow::Result<String> {
    let mut document = DOCUMENT.to_owned();
    for (name, standin) in upstreams.dify.services() {
        document = document.replace(&format!("http://{name}.example"), &standin.url());
    }
    document = document.replace("http://dead.example", &upstreams.dead.url());
    document = document.replace("http://spare.example", &upstreams.spare.url());
    document = document.replace("http://ragflow.example", &upstreams.ragflow.url());
    Ok(GatewayConfig::parse("the demo's configuration", &document)?.normal_form())
}

pub(super) fn curl_lines(gateway: SocketAddr) -> String {
    format!(
        "\n\
Your turn, in another terminal:

  curl http://{gateway}/
  curl -N http://{gateway}/v1/chat-messages -H 'Authorization: Bearer app-demo' -H 'Content-Type: application/json' \\
       -d '{{\"inputs\":{{}},\"query\":\"Hello\",\"response_mode\":\"streaming\",\"user\":\"me\"}}'
  curl -i http://{gateway}/llm/v1/chat/completions -H 'Authorization: Bearer {KEY}' -H 'Content-Type: application/json' \\
       -d '{{\"model\":\"gpt-4o\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'
  curl http://{gateway}/_gateway/metrics

The demo stays up; Ctrl-C ends it. For the real thing edit gateway.yaml and run ./scripts/up again."
    )
}
