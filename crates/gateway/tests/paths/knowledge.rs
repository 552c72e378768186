//! Retrievals.

use std::time::Duration;

use spillway_platform::SendError;
use spillway_platform_sim::{PeerStep, SimRequest};

use super::{Client, Kind, records, serve, total, world};

fn query() -> SimRequest {
    SimRequest::json(
        "/knowledge/handbook/retrieval",
        r#"{"knowledge_id":"k","query":"what?","retrieval_setting":{"top_k":2,"score_threshold":0.1}}"#,
    )
}

#[test]
fn a_retrieval_is_one_record_whatever_the_engine_does() {
    let found = r#"{"records":[{"content":"c","score":0.9,"title":"t","metadata":{}}]}"#;
    let late = PeerStep::Wait(Duration::from_secs(60));
    for (script, expected) in [
        (
            vec![
                PeerStep::head(200, "application/json"),
                PeerStep::piece(found),
            ],
            "retrieval 200 ok",
        ),
        (
            vec![PeerStep::Fail(SendError::Connect("refused".to_owned()))],
            "retrieval 502 upstream_refused",
        ),
        (
            vec![late, PeerStep::head(200, "application/json")],
            "retrieval 424 upstream_timeout",
        ),
    ] {
        let sim = world();
        sim.set_upstream("engine:9", move |_| script.clone());
        serve(&sim, Kind::Knowledge, vec![(query(), Client::Reads)]);
        assert_eq!(records(&sim), [expected]);
        assert_eq!(total(&sim, "spillway_knowledge_requests_total"), 1);
        assert!(!sim.log_lines().join("\n").contains("what?"));
    }
}
