//! What RAGFlow is sent. Each `golden/ragflow/*.json` has a knowledge API's backend, a request of Dify, the
//! arguments with which `ragflow-sdk` asks the same, and the body.
//!
//! The bodies are the SDK's own: `tests/clients/ragflow_recorder.py` calls `RAGFlow.retrieve(**sdk)` of `ragflow-sdk`
//! 0.26.0 against a recorder and prints what it sent. With `--write` it puts that into the files; the end-to-end suite
//! runs it again and compares.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use spillway_config::Gateway;
use spillway_knowledge::{KnowledgeCatalogue, Retrieval};
use spillway_platform::Clock;

use crate::scripted::{ScriptedSender, Step, run};
use crate::{Answer, api, error, text};

fn ask(backend: &Value, request: &Value) -> (Answer, Option<Value>) {
    let gateway = json!({"knowledge": [{"name": "k", "backend": backend}]});
    let catalogue =
        KnowledgeCatalogue::new(&serde_json::from_value::<Gateway>(gateway).unwrap()).unwrap();
    let found = text(r#"{"code":0,"data":{"chunks":[]}}"#);
    let sender = ScriptedSender::new(vec![vec![Step::Head(200), found]]);
    let retrieval = Retrieval {
        sender: &sender,
        clock: &sender.clock,
        api: api(&catalogue, "k"),
        arrived: sender.clock.now(),
    };
    let answer = run(
        &sender.clock,
        retrieval.serve(request.to_string().as_bytes()),
    );
    let sent = sender.requests.borrow().first().map(|request| {
        assert_eq!(request.path_and_query, "/api/v1/retrieval");
        assert_eq!(
            request.headers.text("authorization"),
            Some("Bearer ragflow-secret")
        );
        assert_eq!(
            request.headers.text("content-type"),
            Some("application/json")
        );
        serde_json::from_slice(&request.body).unwrap()
    });
    (answer.into(), sent)
}

#[test]
fn ragflow_is_sent_what_its_sdk_sends() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/ragflow");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let case: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let (answer, sent) = ask(&case["backend"], &case["request"]);
        assert_eq!(answer.status, 200, "{}", path.display());
        assert_eq!(sent.as_ref(), Some(&case["body"]), "{}", path.display());
        count += 1;
    }
    assert!(count >= 6, "{count} cases");
}

fn backend() -> Value {
    json!({"type": "ragflow", "base_url": "http://ragflow:9380", "api_key": "ragflow-secret"})
}

fn filtered(conditions: Value) -> (Answer, Option<Value>) {
    let request = json!({"query": "q", "knowledge_id": "d1", "metadata_condition": {"conditions": conditions}});
    ask(&backend(), &request)
}

#[test]
fn every_operator_of_dify_is_put_in_ragflows_words() {
    let (one, none, many) = (json!("a"), json!(null), json!(["a", "b"]));
    for (operator, value, expected, sent) in [
        ("contains", &one, "contains", json!("a")),
        ("not contains", &one, "not contains", json!("a")),
        ("start with", &one, "start with", json!("a")),
        ("end with", &one, "end with", json!("a")),
        ("is", &one, "=", json!("a")),
        ("is not", &one, "≠", json!("a")),
        ("in", &many, "in", json!(["a", "b"])),
        ("not in", &many, "not in", json!(["a", "b"])),
        ("empty", &none, "empty", json!("")),
        ("not empty", &none, "not empty", json!("")),
        ("=", &json!(5), "=", json!("5")),
        ("≠", &json!(5.5), "≠", json!("5.5")),
        (">", &json!(-1), ">", json!("-1")),
        ("<", &json!("7"), "<", json!("7")),
        ("≥", &json!(5), "≥", json!("5")),
        ("≤", &json!(5), "≤", json!("5")),
        ("before", &json!("2026-01-02"), "<", json!("2026-01-02")),
        ("after", &json!("2026-01-02"), ">", json!("2026-01-02")),
        // Older documentation, and values in another form.
        ("null", &none, "empty", json!("")),
        ("not null", &one, "not empty", json!("")),
        ("in", &json!("a, b"), "in", json!(["a", "b"])),
        ("in", &json!(5), "in", json!(["5"])),
        ("is", &json!(["a"]), "=", json!("a")),
    ] {
        let condition = json!([{"name": "n", "comparison_operator": operator, "value": value}]);
        let (_, body) = filtered(condition);
        let expected = json!({"logic": "and", "conditions": [
            {"name": "n", "comparison_operator": expected, "value": sent}]});
        assert_eq!(body.unwrap()["metadata_condition"], expected, "{operator}");
    }
}

#[test]
fn a_condition_that_ragflow_cannot_apply_is_never_left_out() {
    for (condition, part) in [
        (
            json!([{"name": "n", "comparison_operator": "resembles", "value": "a"}]),
            "`resembles`",
        ),
        (
            json!([{"name": "n", "comparison_operator": "is"}]),
            "`n` has no value",
        ),
        (
            json!([{"name": "n", "comparison_operator": "is", "value": ["a", "b"]}]),
            "not a list",
        ),
        (
            json!([{"name": "n", "comparison_operator": "contains", "value": []}]),
            "not a list",
        ),
    ] {
        let (answer, sent) = filtered(condition);
        assert_eq!((answer.status.as_u16(), sent), (400, None));
        let (code, message) = error(&answer);
        assert_eq!(code, 3001);
        assert!(message.contains(part), "{message}");
    }
    let mut bound = backend();
    bound["document_ids"] = json!(["o1"]);
    let conditions = json!([{"name": "n", "comparison_operator": "is", "value": "a"}]);
    let request = json!({"query": "q", "knowledge_id": "d1", "metadata_condition": {"conditions": conditions}});
    let (answer, sent) = ask(&bound, &request);
    assert_eq!((answer.status.as_u16(), sent), (400, None));
    assert!(error(&answer).1.contains("document_ids"));
}

#[test]
fn the_configured_threshold_holds_where_difys_is_off() {
    let mut strict = backend();
    strict["similarity_threshold"] = json!(0.6);
    for (asked, expected) in [
        (json!(0.0), 0.6),
        (json!(null), 0.6),
        (json!(0.3), 0.3),
        (json!(0.9), 0.9),
    ] {
        let request = json!({"query": "q", "knowledge_id": "d1", "retrieval_setting": {"score_threshold": asked}});
        assert_eq!(
            ask(&strict, &request).1.unwrap()["similarity_threshold"],
            json!(expected)
        );
    }
}
