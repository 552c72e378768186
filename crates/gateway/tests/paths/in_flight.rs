//! Places that two steps of the limits give.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use spillway_gateway::agent;
use spillway_platform::Clock as _;
use spillway_platform_sim::{PeerStep, Sim, SimRequest};

/// One place for all together, asked before the body is read; five for each end user, asked after.
const CONFIGURATION: &str = r#"{
  "agents": [{ "name": "dify", "services": { "api": "http://api:5001" },
    "policies": { "rate_limits": [
      { "rule_name": "all", "global_threshold": { "concurrency": 1 } },
      { "rule_name": "each", "rule_items": [
        { "limit_by_per_end_user": "", "limit_keys": [{ "key": "*", "concurrency": 5 }] }] }] } }],
  "state": { "redis": "redis://simulated" },
  "telemetry": { "log": { "level": "debug" } }
}"#;

/// Large enough that the rules are asked in two steps.
fn run() -> SimRequest {
    let query = "x".repeat(100_000);
    let body = format!(r#"{{"inputs":{{}},"query":"{query}","user":"ann"}}"#);
    SimRequest::json("/v1/chat-messages", &body)
}

#[test]
fn the_first_steps_place_is_kept_when_the_second_gives_one_too() {
    let sim = Sim::default();
    sim.set_variable("gateway_config", CONFIGURATION);
    sim.set_upstream("api:5001", |_| {
        let head = PeerStep::head(200, "text/event-stream");
        vec![
            head,
            PeerStep::piece("data: {}\n\n"),
            PeerStep::Wait(Duration::from_secs(10)),
        ]
    });
    let (instance, platform) = (sim.instance(), sim.clone());
    let statuses = sim.run(async move {
        let runtime = Arc::new(agent::start(platform.clone()).await.unwrap());
        let asks = async |after: u64| {
            platform.sleep(Duration::from_secs(after)).await;
            let runtime = Arc::clone(&runtime);
            let serving = async move { agent::handle(&runtime, run()).await };
            let response = instance.call(serving).await.unwrap();
            response.read().await.status
        };
        // The second comes while the first streams, the third when it has ended.
        let (first, (second, third)) =
            join(asks(0), async { (asks(5).await, asks(30).await) }).await;
        [first, second, third]
    });
    assert_eq!(statuses, [200, 429, 200]);
    let log = sim.log_lines().join("\n");
    assert!(log.contains("debug limits: all: refused"), "{log}");
}
