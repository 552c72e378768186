//! Errors in the words of RAGFlow.

use serde_json::{Value, json};
use spillway_knowledge::RetrievalOutcome;

use crate::scripted::Step;
use crate::{Answer, error, query, serve, text};

fn ragflow_error(status: u16, answer: Value) -> Answer {
    serve("handbook", &query(), vec![Step::Head(status), text(answer)]).0
}

#[test]
fn ragflows_errors_in_200_are_errors() {
    for (code, message, status, told, part) in [
        (102, "You don't own the dataset d1.", 404, 2001, "`d1`"),
        (102, "Dataset not found!", 404, 2001, "`d1`"),
        (102, "Can't find this knowledgebase!", 404, 2001, "`d1`"),
        (
            102,
            "Datasets use different embedding models.",
            424,
            5003,
            "different embedding models",
        ),
        (
            102,
            "The datasets don't own the document o1",
            424,
            5003,
            "own the document",
        ),
        (
            101,
            "page_size must be at most 100, not ragflow-secret",
            424,
            5003,
            "at most 100, not ***",
        ),
        (
            109,
            "Authentication error: API key is invalid!",
            424,
            5003,
            "`backend.api_key` of the knowledge API `handbook`",
        ),
        (401, "Unauthorized", 424, 5003, "`backend.api_key`"),
        (
            100,
            "ConnectionError('http://es01:9200 What is new?')",
            424,
            5003,
            "(200 OK, code 100)",
        ),
        (500, "internal", 424, 5003, "code 500"),
        (404, "Not Found: /api/v1/retrieval", 424, 5003, "code 404"),
        (-1, "", 424, 5003, "code -1"),
    ] {
        for data in [json!({}), json!({"data": null}), json!({"data": false})] {
            let mut answer = data;
            answer["code"] = json!(code);
            answer["message"] = json!(message);
            let answer = ragflow_error(200, answer);
            assert_eq!(answer.status, status, "{message}");
            let (number, shown) = error(&answer);
            assert_eq!(number, told, "{message}");
            assert!(shown.contains(part), "{shown}");
            assert!(
                !shown.contains("es01") && !shown.contains("ragflow-secret"),
                "{shown}"
            );
            assert!(!answer.detail.unwrap().contains("What is new"));
        }
    }
}

#[test]
fn an_engines_words_are_cut_without_leaving_half_a_key() {
    let message = format!("{}ragflow-secret", "x".repeat(193));
    let shown = error(&ragflow_error(
        200,
        json!({"code": 101, "message": message}),
    ))
    .1;
    assert!(
        shown.ends_with("xxx***") && !shown.contains("ragflow"),
        "{shown}"
    );
    let shown = error(&ragflow_error(
        200,
        json!({"code": 101, "message": "y".repeat(100_000)}),
    ))
    .1;
    assert_eq!(
        shown.matches('y').count(),
        201,
        "200 of the engine's, and that of `query`"
    );
}

#[test]
fn ragflows_errors_keep_their_meaning_with_other_statuses() {
    for (status, code, expected) in [
        (400, 101, 424),
        (401, 401, 424),
        (403, 108, 424),
        (404, 404, 424),
        (429, 100, 503),
        (500, 100, 424),
        (503, 500, 503),
    ] {
        let answer = ragflow_error(status, json!({"code": code, "message": "m", "data": null}));
        assert_eq!(answer.status, expected, "{status} {code}");
        assert_eq!(answer.outcome, RetrievalOutcome::BackendError);
    }
    let answer = ragflow_error(404, json!({"code": 404, "message": "Dataset not found"}));
    assert_eq!(
        (answer.status.as_u16(), answer.outcome),
        (404, RetrievalOutcome::UnknownKnowledge)
    );
    // A code of 0 makes no success of an error status.
    let answer = ragflow_error(500, json!({"code": 0, "data": {"chunks": []}}));
    assert_eq!(answer.outcome, RetrievalOutcome::BackendError);
    for success in [
        json!({"code": 0}),
        json!({"data": {"chunks": []}}),
        json!({"code": "0", "data": {"chunks": []}}),
        json!({"code": 0, "data": {"chunks": {}}}),
        json!({"code": 0, "data": [1]}),
    ] {
        let answer = ragflow_error(200, success.clone());
        assert_eq!(
            (answer.status.as_u16(), error(&answer).0),
            (424, 5003),
            "{success}"
        );
    }
}
