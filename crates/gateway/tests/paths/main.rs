//! Paths of requests, in simulation: each answered once, with one record, whatever happens.
#![expect(
    clippy::arc_with_non_send_sync,
    clippy::unwrap_used,
    reason = "a test, and a simulated world is one thread's"
)]

mod admin;
mod agents;
mod given_up;
mod in_flight;
mod knowledge;
mod misconfigured;
mod models;
mod round_trips;
mod store_budget;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use spillway_gateway::{agent, knowledge as retrieval, model};
use spillway_platform::Clock as _;
use spillway_platform_sim::{Sim, SimAnswer, SimRequest, SimResponse};

const CONFIGURATION: &str = r#"{
  "consumers": [{ "name": "team", "credentials": [{ "api_key": "sk-team" }] }],
  "agents": [{ "name": "dify", "services": { "api": "http://api:5001", "web": "http://web:3000" },
    "policies": { "rate_limits": [{ "rule_name": "together", "rule_items": [
      { "limit_by_header": "x-app-id", "limit_keys": [{ "key": "a", "query_per_minute": 2, "concurrency": 1 }] }] }] } }],
  "models": [{ "name": "llm", "policies": { "auth": ["team"], "rate_limits": [
      { "rule_name": "dear", "rule_items": [
        { "limit_by_consumer": "", "limit_keys": [{ "key": "team", "query_per_minute": 3 }] },
        { "limit_by_model": "", "limit_keys": [{ "key": "dear", "query_per_minute": 1 }] }] }] },
    "routes": [{ "name": "all", "targets": [{ "provider": "first" }, { "provider": "second" }] }] }],
  "providers": [{ "name": "first", "base_url": "http://first:1/v1", "api_keys": ["sk-first"] },
                { "name": "second", "base_url": "http://second:2/v1" }],
  "knowledge": [{ "name": "handbook", "deadline": "4500ms",
    "backend": { "type": "dify_compatible", "base_url": "http://engine:9", "api_key": "k" } }],
  "state": { "redis": "redis://simulated" }
}"#;

/// A world with the configuration in it.
fn world() -> Sim {
    world_of(CONFIGURATION)
}

fn world_of(configuration: &str) -> Sim {
    let sim = Sim::default();
    sim.set_variable("gateway_config", configuration);
    sim
}

/// What a client does with its answer.
#[derive(Clone, Copy)]
enum Client {
    Reads,
    /// Reads so many pieces, and leaves.
    Leaves(usize),
}

impl Client {
    async fn read(self, response: SimResponse) -> SimAnswer {
        match self {
            Self::Reads => response.read().await,
            Self::Leaves(pieces) => response.read_pieces(pieces).await,
        }
    }
}

/// Which kind of API a request goes to.
#[derive(Clone, Copy)]
enum Kind {
    Agent,
    Model,
    Knowledge,
}

/// Sends requests one after the other through one instance, and gives the answers.
fn serve(sim: &Sim, kind: Kind, requests: Vec<(SimRequest, Client)>) -> Vec<SimAnswer> {
    let (instance, platform, clock) = (sim.instance(), sim.clone(), sim.clone());
    sim.run(async move {
        let mut answers = Vec::new();
        match kind {
            Kind::Agent => {
                let runtime = Arc::new(agent::start(platform).await.unwrap());
                for (request, client) in requests {
                    let runtime = Arc::clone(&runtime);
                    let serving = async move { agent::handle(&runtime, request).await };
                    let response = instance.call(serving).await.unwrap();
                    answers.push(client.read(response).await);
                    a_moment(&clock).await;
                }
            }
            Kind::Model => {
                let runtime = Arc::new(model::start(platform).await.unwrap());
                for (request, client) in requests {
                    let runtime = Arc::clone(&runtime);
                    let serving = async move { model::handle(&runtime, request).await };
                    let response = instance.call(serving).await.unwrap();
                    answers.push(client.read(response).await);
                    a_moment(&clock).await;
                }
            }
            Kind::Knowledge => {
                let runtime = Arc::new(retrieval::start(platform).await.unwrap());
                for (request, client) in requests {
                    let runtime = Arc::clone(&runtime);
                    let serving = async move { retrieval::handle(&runtime, request).await };
                    let response = instance.call(serving).await.unwrap();
                    answers.push(client.read(response).await);
                    a_moment(&clock).await;
                }
            }
        }
        answers
    })
}

/// In which what is done off a request's path is done.
async fn a_moment(clock: &Sim) {
    clock.sleep(Duration::from_millis(1)).await;
}

/// Of each record: the event, the status and the reason.
fn records(sim: &Sim) -> Vec<String> {
    let word = |line: &str, name: &str| {
        let (_, rest) = line.split_once(name)?;
        rest.split(' ').next().map(str::to_owned)
    };
    let lines = sim.log_lines();
    let records = lines.iter().filter_map(|line| {
        let event = line.split(' ').nth(2)?;
        let status = word(line, " status=")?;
        let reason = word(line, " reason=")?;
        Some(format!("{event} {status} {reason}"))
    });
    records.collect()
}

/// The total of a series, once all is settled.
fn total(sim: &Sim, series: &str) -> u64 {
    use spillway_platform::State as _;
    let state = sim.oracle();
    let series = series.to_owned();
    sim.run(async move {
        let totals = state.totals("").await.unwrap();
        let of = totals
            .into_iter()
            .filter(|(name, _)| name.contains(&series));
        of.map(|(_, amount)| amount).sum()
    })
}
