//! How often a request waits for the store: at most once a phase, and not at all where no phase has a rule.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use spillway_platform_sim::{PeerStep, Sim, SimRequest};

use super::models::{answer, chat};
use super::{Client, Kind, serve, world_of};

const RULES: &str = r#""rate_limits": [{ "rule_name": "r", "rule_items": [
    { "limit_by_per_ip": "from-remote-addr", "limit_keys": [{ "key": "0.0.0.0/0", "query_per_minute": 9 }] },
    { "limit_by_end_user": "", "limit_keys": [{ "key": "*", "query_per_minute": 9 }] }] }]"#;

pub const MODEL_RULES: &str = r#""rate_limits": [{ "rule_name": "r", "rule_items": [
    { "limit_by_consumer": "", "limit_keys": [{ "key": "*", "query_per_minute": 9 }] },
    { "limit_by_model": "", "limit_keys": [{ "key": "*", "query_per_minute": 9 }] }] }]"#;

pub fn world(agent_policies: &str, model_policies: &str) -> Sim {
    let sim = world_of(
        &r#"{
  "consumers": [{ "name": "team", "credentials": [{ "api_key": "sk-team" }, { "hmac": { "access_key": "ak", "secret_key": "secret-1" } }] }],
  "agents": [{ "name": "dify", "services": { "api": "http://api:5001" }, "policies": { AGENT } }],
  "models": [{ "name": "llm", "policies": { "auth": ["team"] MODEL },
    "routes": [{ "name": "all", "targets": [{ "provider": "first" }, { "provider": "second" }] }] }],
  "providers": [{ "name": "first", "base_url": "http://first:1/v1" },
                { "name": "second", "base_url": "http://second:2/v1" }],
  "state": { "redis": "redis://simulated", "digest_key": "a-key-of-digests" }
}"#
        .replace("AGENT", agent_policies)
        .replace("MODEL", model_policies),
    );
    sim.set_upstream("api:5001", |_| {
        vec![
            PeerStep::head(200, "application/json"),
            PeerStep::piece("{}"),
        ]
    });
    sim.set_upstream("first:1", |_| answer());
    sim
}

/// What a request waits for, on an instance that has just begun and then once more.
fn waits(sim: &Sim, kind: Kind, request: &SimRequest) -> Vec<&'static str> {
    let twice = vec![
        (request.clone(), Client::Reads),
        (request.clone(), Client::Reads),
    ];
    for answer in serve(sim, kind, twice) {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let mut operations = sim.oracle().operations();
    // What the metrics add up, and the index of limits, is nobody's wait.
    operations.retain(|operation| !["add_totals", "index_limits"].contains(operation));
    operations
}

fn run(padding: usize) -> SimRequest {
    let document = format!(
        r#"{{"inputs":{{"padding":"{}"}},"query":"q","user":"ann","response_mode":"blocking"}}"#,
        "x".repeat(padding)
    );
    SimRequest::json("/v1/chat-messages", &document).header("authorization", "Bearer app-1")
}

/// At the time at which a simulated world begins.
pub fn signed(nonce: &str) -> SimRequest {
    let text = format!(
        "POST\n*/*\n\napplication/json\n\nx-ca-key:ak\nx-ca-nonce:{nonce}\nx-ca-timestamp:1800000000000\n/llm/v1/chat/completions"
    );
    let mac = Hmac::<Sha256>::new_from_slice(b"secret-1").unwrap();
    let signature = STANDARD.encode(mac.chain_update(text).finalize().into_bytes());
    chat("m", "")
        .header("accept", "*/*")
        .header("x-ca-key", "ak")
        .header("x-ca-nonce", nonce)
        .header("x-ca-timestamp", "1800000000000")
        .header(
            "x-ca-signature-headers",
            "x-ca-key,x-ca-nonce,x-ca-timestamp",
        )
        .header("x-ca-signature", &signature)
}

#[test]
fn no_rule_no_wait() {
    let sim = world("", "");
    assert!(waits(&sim, Kind::Agent, &run(0)).is_empty());
}

#[test]
fn one_wait_for_all_rules_where_the_body_is_small_and_two_where_it_is_not() {
    let sim = world(RULES, "");
    assert_eq!(waits(&sim, Kind::Agent, &run(0)), ["admit"; 2]);
    let sim = world(RULES, "");
    assert_eq!(waits(&sim, Kind::Agent, &run(100_000)), ["admit"; 4]);
}

#[test]
fn a_model_call_reads_what_is_known_of_all_its_targets_at_once_and_not_each_time() {
    let sim = world("", "");
    let call = chat("m", "").header("authorization", "Bearer sk-team");
    assert_eq!(waits(&sim, Kind::Model, &call), ["pool_read"]);
    let sim = world("", &format!(", {MODEL_RULES}"));
    let expected = ["admit", "pool_read", "admit"];
    assert_eq!(waits(&sim, Kind::Model, &call), expected);
}

#[test]
fn a_signed_and_limited_call_waits_three_times_on_an_instance_that_has_just_begun() {
    let sim = world("", &format!(", {MODEL_RULES}"));
    let calls = vec![
        (signed("n-1"), Client::Reads),
        (signed("n-2"), Client::Reads),
    ];
    for answer in serve(&sim, Kind::Model, calls) {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let mut operations = sim.oracle().operations();
    operations.retain(|operation| !["add_totals", "index_limits"].contains(operation));
    let expected = ["claim_nonce", "admit", "pool_read", "claim_nonce", "admit"];
    assert_eq!(operations, expected);
}
