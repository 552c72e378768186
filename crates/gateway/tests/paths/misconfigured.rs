//! What becomes of requests while the configuration cannot be used.

use spillway_gateway::{agent, knowledge, model};
use spillway_platform_sim::{Sim, SimRequest};

use super::{Kind, a_moment};

#[test]
fn every_request_is_answered_by_name_and_has_its_line() {
    for (kind, path, status) in [
        (Kind::Agent, "/apps", 503),
        (Kind::Model, "/llm/v1/models", 503),
        (Kind::Knowledge, "/knowledge/x/retrieval", 424),
    ] {
        let sim = Sim::default();
        let platform = sim.clone();
        let answer = sim.run(async move {
            let request = SimRequest::get(path).header("x-request-id", "r-1");
            let problem = "gateway.yaml:1:1: error: no";
            let response = match kind {
                Kind::Agent => agent::misconfigured(&platform, problem, request).await,
                Kind::Model => model::misconfigured(&platform, problem, request).await,
                Kind::Knowledge => knowledge::misconfigured(&platform, problem, request).await,
            };
            let answer = response.unwrap().read().await;
            a_moment(&platform).await;
            answer
        });
        assert_eq!(answer.status, status);
        assert_eq!(answer.headers.text("x-request-id"), Some("r-1"));
        let log = sim.log_lines().join("\n");
        let line = format!("error request status={status} reason=misconfigured");
        assert!(
            log.contains(&line) && log.contains("gateway.yaml:1:1: error: no"),
            "{log}"
        );
    }
}
