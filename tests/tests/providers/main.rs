//! Providers' endpoints and keys, routes and consumers: calls that do not fail, and who may make them.

use anyhow::Result;
use spillway_tests::{
    Gateway, Options, Redis, chat_request,
    client::{Request, Response},
    standin::{RecordedRequest, StandinModel},
    stream_request,
};

mod aborts;
mod allowed;
mod anthropic;
mod balancing;
mod bounds;
mod breakers;
mod budget;
mod bypass;
mod conditions;
mod consumers;
mod converted;
mod error_forms;
mod expired_keys;
mod forbidden_keys;
mod forwarded_headers;
mod handshakes;
mod key_pools;
mod killed;
mod limited_keys;
mod never_worse;
mod parameters;
mod redaction;
mod refusals;
mod routing;
mod seeing;
mod signatures;
mod signing;
mod slow_redis;
mod stateful;
mod stateful_answers;
mod waiting;

/// The endpoint of most tests.
const CHAT: &str = "/llm/v1/chat/completions";

/// Starts a gateway. `$first` and the like stand for the URLs of the vendors in the configuration.
async fn start(yaml: &str, vendors: &[(&str, &StandinModel)]) -> Result<Gateway> {
    let filled = vendors
        .iter()
        .fold(yaml.to_owned(), |yaml, (name, vendor)| {
            yaml.replace(&format!("${name}"), &vendor.base_url())
        });
    Gateway::start(&filled, Options::default().lasting()).await
}

/// The same configuration with its state in this Redis, for which there is time on a busy machine, too.
fn on_redis(redis: &Redis, yaml: &str) -> String {
    format!(
        "state: {{ timeout: 1s, redis: \"{}\" }}\n{yaml}",
        redis.url()
    )
}

/// A chat.
fn chat(model: &str, text: &str) -> Request {
    Request::json(CHAT, &chat_request(model, text))
}

/// A streamed chat.
fn stream(model: &str, text: &str) -> Request {
    Request::json(CHAT, &stream_request(model, text))
}

/// As which status a provider's one reaches the client: 401 is about the gateway's key, not about the client's.
const fn told(status: u16) -> u16 {
    match status {
        401 => 502,
        other => other,
    }
}

/// Sends a chat that has to succeed.
async fn served(gateway: &Gateway, model: &str, text: &str) -> Result<Response> {
    let answer = gateway.call(&chat(model, text)).await?;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    Ok(answer)
}

/// What a vendor was asked by clients. Probes are not.
fn calls(vendor: &StandinModel) -> Vec<RecordedRequest> {
    let requests = vendor.requests().into_iter();
    requests
        .filter(|request| request.method == "POST")
        .collect()
}

/// How many of the requests carry this key.
fn count_with_key(requests: &[RecordedRequest], key: &str) -> usize {
    let wanted = Some(format!("Bearer {key}"));
    requests
        .iter()
        .filter(|request| request.header("authorization") == wanted)
        .count()
}
