//! The admin API: who is let in, and what is told of limits.

use serde_json::{Value, json};
use spillway_gateway::console::{self, Console};
use spillway_platform_sim::{PeerStep, Sim, SimAnswer, SimRequest};

use super::models::{answer, chat};
use super::{Client, Kind, serve, world_of};

const TOKEN: &str = "a-token-of-an-operator";

const CONFIGURATION: &str = r#"{
  "consumers": [{ "name": "team", "credentials": [{ "api_key": "sk-team" }] }],
  "agents": [{ "name": "dify", "services": { "api": "http://api:5001" }, "policies": { "rate_limits": [
      { "rule_name": "users", "rule_items": [{ "limit_by_per_end_user": "", "limit_keys": [{ "key": "*", "query_per_day": 4 }] }] },
      { "rule_name": "apps", "rule_items": [
        { "limit_by_dify_app": "", "limit_keys": [{ "key": "app-of-the-support-bot", "query_per_minute": 8, "concurrency": 2 }] }] }] } }],
  "models": [{ "name": "llm", "policies": { "auth": ["team"],
      "token_limits": [{ "rule_name": "spent", "rule_items": [
        { "limit_by_per_consumer": "", "limit_keys": [{ "key": "*", "token_per_minute": 2 }] }] }] },
    "routes": [{ "name": "all", "targets": [{ "provider": "first" }] }] }],
  "providers": [{ "name": "first", "base_url": "http://first:1/v1" }],
  "state": { "redis": "redis://simulated", "digest_key": "a-key-of-digests" },
  "admin": { "token": "a-token-of-an-operator" }
}"#;

fn world(configuration: &str) -> Sim {
    let sim = world_of(configuration);
    sim.set_upstream("first:1", |_| answer());
    sim.set_upstream("api:5001", |_| {
        vec![
            PeerStep::head(200, "application/json"),
            PeerStep::piece("{}"),
        ]
    });
    sim
}

/// Asks the gateway about itself.
fn ask(sim: &Sim, request: SimRequest) -> SimAnswer {
    let (instance, platform) = (sim.instance(), sim.clone());
    sim.run(async move {
        let console = Console::start(platform.clone()).await.unwrap();
        let serving = async move { console::handle(&platform, Ok(&console), request).await };
        instance.call(serving).await.unwrap().read().await
    })
}

fn field(it: &Value, name: &str) -> Value {
    it.get(name).cloned().unwrap_or_default()
}

fn limits(sim: &Sim, query: &str) -> Vec<Value> {
    let path = format!("/_gateway/api/limits{query}");
    let asked = SimRequest::get(&path).header("authorization", &format!("Bearer {TOKEN}"));
    let answer = ask(sim, asked);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let told: Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!(field(&told, "complete"), json!(true));
    field(&told, "limits").as_array().unwrap().clone()
}

fn run(user: &str) -> SimRequest {
    let document = format!(r#"{{"inputs":{{}},"query":"q","user":"{user}"}}"#);
    SimRequest::json("/v1/completion-messages", &document)
        .header("authorization", "Bearer app-of-the-support-bot")
}

#[test]
fn without_a_token_in_the_configuration_nothing_is_there() {
    let sim = world(&CONFIGURATION.replace(TOKEN, ""));
    for header in ["Bearer ", "Bearer a-token-of-an-operator"] {
        let asked = SimRequest::get("/_gateway/api/limits").header("authorization", header);
        assert_eq!(ask(&sim, asked).status, 404);
    }
}

#[test]
fn with_one_only_who_brings_it_is_let_in() {
    let sim = world(CONFIGURATION);
    let path = "/_gateway/api/limits";
    for request in [
        SimRequest::get(path),
        SimRequest::get(path).header("authorization", "Bearer another"),
        SimRequest::get(path).header("authorization", "Basic a-token-of-an-operator"),
        SimRequest::get("/_gateway/api/anything"),
    ] {
        let refused = ask(&sim, request);
        assert_eq!(refused.status, 401, "{}", refused.text());
        assert!(refused.text().contains("admin.token"), "{}", refused.text());
    }
    let with = |request: SimRequest| request.header("authorization", &format!("Bearer {TOKEN}"));
    let of = |request| ask(&sim, with(request)).status;
    assert_eq!(of(SimRequest::get(path)), 200);
    assert_eq!(of(SimRequest::get("/_gateway/api/anything")), 404);
    assert_eq!(of(SimRequest::get(&format!("{path}?key=a"))), 400);
    assert_eq!(of(SimRequest::json(path, "{}")), 405);
}

#[test]
fn what_is_used_is_told_the_fullest_first_and_no_key_and_no_user() {
    // A user who has come once may be made up, and is none yet.
    let sim = world(CONFIGURATION);
    assert!(limits(&sim, "").is_empty());
    let runs = vec![
        (run("ann"), Client::Reads),
        (run("ann"), Client::Reads),
        (run("bob"), Client::Reads),
    ];
    serve(&sim, Kind::Agent, runs);
    // The call uses 3 of 2: 1 is debt.
    let call = chat("m", "").header("authorization", "Bearer sk-team");
    serve(&sim, Kind::Model, vec![(call, Client::Reads)]);

    let told = limits(&sim, "");
    let fields = |it: &Value| {
        let names = [
            "rule",
            "unit",
            "limit",
            "used",
            "reserved",
            "debt",
            "remaining",
        ];
        names.map(|name| field(it, name))
    };
    let all: Vec<_> = told.iter().map(fields).collect();
    let expected = [
        json!(["spent", "tokens", 2, 3, 0, 1, 0]),
        json!(["users", "requests", 4, 2, 0, 0, 2]),
        json!(["apps", "requests", 8, 3, 0, 0, 5]),
        json!(["apps", "concurrent-requests", 2, 0, 0, 0, 2]),
    ];
    assert_eq!(json!(all), json!(expected));
    let spent = |name| field(told.first().unwrap(), name);
    assert_eq!(
        (
            spent("api"),
            spent("by"),
            spent("value"),
            spent("window_seconds")
        ),
        (
            json!("model/llm"),
            json!("limit_by_per_consumer"),
            json!("team"),
            json!(60)
        )
    );
    assert!(spent("reset_seconds").as_u64().unwrap() <= 70);
    let text = json!(told).to_string();
    for secret in ["ann", "bob", "support-bot", "sk-team"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn one_value_can_be_asked_for_by_whoever_knows_it() {
    let sim = world(CONFIGURATION);
    serve(&sim, Kind::Agent, vec![(run("ann"), Client::Reads)]);
    let used = |query: &str| {
        let told = limits(&sim, query);
        let told = told.iter().map(|it| (field(it, "rule"), field(it, "used")));
        told.collect::<Vec<_>>()
    };
    let users = |used: u64| (json!("users"), json!(used));
    assert_eq!(used("?value=ann&rule=users"), [users(1)]);
    // Of whom nobody has heard nothing is used.
    assert_eq!(used("?value=eve&rule=users"), [users(0)]);
    assert_eq!(
        used("?value=app-of-the-support-bot&api=dify&rule=apps"),
        [(json!("apps"), json!(1)), (json!("apps"), json!(0))]
    );
    assert!(used("?api=nothing").is_empty());
}
