//! Counting, adding up and giving out.

use std::time::Duration;

use proptest::prelude::*;
use spillway_telemetry::{Api, Counters, KnowledgeCall, ModelCall, Reason, TokenKind, render};

fn sample() -> Counters {
    let mut counters = Counters::default();
    counters.request(
        Api::Agent,
        "dify",
        "/v1",
        200,
        Reason::Ok,
        Duration::from_millis(7),
    );
    counters.request(
        Api::Agent,
        "dify",
        "/v1",
        200,
        Reason::Ok,
        Duration::from_millis(70),
    );
    counters.request(
        Api::Model,
        "llm",
        "a\"b",
        502,
        Reason::UpstreamRefused,
        Duration::from_secs(5000),
    );
    let call = ModelCall {
        name: "llm",
        provider: "openai",
        model: "gpt-4o",
    };
    counters.tokens(call, TokenKind::Input, 12);
    counters.tokens(call, TokenKind::Output, 30);
    counters.attempt(call, "ok");
    let call_knowledge = KnowledgeCall {
        name: "handbook",
        backend: "ragflow",
    };
    counters.knowledge(call_knowledge, "empty");
    counters.rate_limit("per-app", "refused");
    counters.state_transition("opened");
    counters.first_token(call, Duration::from_millis(300));
    counters
}

#[test]
fn the_prometheus_form_is_the_committed_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/metrics.txt");
    let text = render(&sample());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(path).unwrap());
}

#[test]
fn deltas_survive_their_text_form_and_add_up() {
    let delta = sample();
    let mut totals = Counters::from_text(&delta.to_text());
    assert_eq!(totals, delta);
    totals.merge(&delta);
    let twice: Vec<u64> = totals.iter().map(|(_, value)| value).collect();
    let once: Vec<u64> = delta
        .iter()
        .map(|(_, value)| value.saturating_mul(2))
        .collect();
    assert_eq!(twice, once);
}

#[test]
fn taking_leaves_nothing() {
    let mut counters = sample();
    assert!(!counters.take().is_empty());
    assert!(counters.is_empty());
}

proptest! {
    #[test]
    fn any_stored_text_can_be_read_and_rendered(text in "[ -~\n]{0,400}") {
        let _ = render(&Counters::from_text(&text));
    }

    #[test]
    fn a_count_equals_its_infinite_bucket(milliseconds in prop::collection::vec(0_u64..3_000_000, 1..30)) {
        let mut counters = Counters::default();
        for value in &milliseconds {
            counters.request(Api::Agent, "a", "r", 200, Reason::Ok, Duration::from_millis(*value));
        }
        let text = render(&counters);
        let expected = format!("le=\"+Inf\"}} {}\n", milliseconds.len());
        prop_assert!(text.contains(&expected), "{}", text);
    }
}
