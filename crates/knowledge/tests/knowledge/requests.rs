//! What Dify's releases send, and what engines get of it.

use serde_json::{Value, json};
use spillway_knowledge::{Query, Request, RetrievalOutcome};

use crate::scripted::Step;
use crate::{Answer, error, query, serve, text};

fn parse(body: &Value) -> Query {
    match Request::parse(body.to_string().as_bytes()).unwrap() {
        Request::Query(query) => query,
        Request::Probe => panic!("{body} is no probe"),
    }
}

fn with(pointer: &str, value: Value) -> Value {
    let mut body = query();
    body["metadata_condition"] = Value::Null;
    *body.pointer_mut(pointer).unwrap() = value;
    body
}

/// What an engine that speaks the contract is sent.
fn passed_on(body: &Value) -> Value {
    let script = vec![Step::Head(200), text(r#"{"records":[]}"#)];
    let (answer, sender) = serve("papers", body, script);
    assert_eq!(answer.outcome, RetrievalOutcome::Empty);
    let requests = sender.requests.borrow();
    serde_json::from_slice(&requests[0].body).unwrap()
}

#[test]
fn a_query_is_read() {
    let asked = parse(&query());
    assert_eq!(
        (asked.knowledge_id.as_str(), asked.text.as_str()),
        ("d1", "What is new?")
    );
    assert_eq!((asked.top_k, asked.score_threshold), (3, 0.5));
    assert_eq!(asked.metadata_condition, None);
}

#[test]
fn what_is_left_out_has_a_default() {
    let bare = parse(&json!({"query": "q"}));
    assert_eq!(
        (bare.top_k, bare.score_threshold, bare.knowledge_id.as_str()),
        (4, 0.0, "")
    );
    let nulls = parse(
        &json!({"query": "q", "knowledge_id": null, "metadata_condition": null,
        "retrieval_setting": {"top_k": null, "score_threshold": null}}),
    );
    assert_eq!(nulls, bare);
    assert_eq!(
        parse(&json!({"query": "q", "retrieval_setting": null, "more": 1})),
        bare
    );
}

#[test]
fn top_k_is_a_whole_number_from_1_on() {
    for (given, expected) in [
        (json!(1), 1),
        (json!(3.0), 3),
        (json!(5000), 5000),
        (json!(1e30), u32::MAX),
        (json!(u64::MAX), u32::MAX),
    ] {
        assert_eq!(
            parse(&with("/retrieval_setting/top_k", given)).top_k,
            expected
        );
    }
    for wrong in [
        json!(0),
        json!(-1),
        json!(2.5),
        json!("3"),
        json!(true),
        json!([3]),
    ] {
        let (answer, _) = serve(
            "handbook",
            &with("/retrieval_setting/top_k", wrong),
            Vec::new(),
        );
        assert_eq!(answer.status, 400);
        assert!(error(&answer).1.contains("top_k"));
    }
}

#[test]
fn conditions_are_read_in_every_form_that_dify_has_had() {
    let condition = |value: Value| parse(&with("/metadata_condition", value)).metadata_condition;
    for none in [
        json!(null),
        json!({}),
        json!({"conditions": null}),
        json!({"conditions": []}),
    ] {
        assert_eq!(condition(none.clone()), None, "{none}");
    }
    // Today's form, and the older one with several names and operators of its own.
    let body = with(
        "/metadata_condition",
        json!({"logical_operator": "OR", "conditions": [
            {"name": "category", "comparison_operator": "contains", "value": "AI"},
            {"name": ["tag", "topic"], "comparison_operator": "in", "value": ["a", 2]},
            {"name": "year", "comparison_operator": "≥", "value": 2020},
            {"name": ["author"], "comparison_operator": "not empty", "value": null},
        ]}),
    );
    assert_eq!(
        passed_on(&body)["metadata_condition"],
        json!({"logical_operator": "or", "conditions": [
            {"name": "category", "comparison_operator": "contains", "value": "AI"},
            {"name": "tag", "comparison_operator": "in", "value": ["a", "2"]},
            {"name": "topic", "comparison_operator": "in", "value": ["a", "2"]},
            {"name": "year", "comparison_operator": "≥", "value": 2020},
            {"name": "author", "comparison_operator": "not empty"},
        ]})
    );
    let default = json!({"logical_operator": null, "conditions": [{"name": "a", "comparison_operator": "empty"}]});
    let logic =
        &passed_on(&with("/metadata_condition", default))["metadata_condition"]["logical_operator"];
    assert_eq!(logic, "and");
}

#[test]
fn the_contract_is_passed_on_with_the_engines_own_key() {
    let script = vec![Step::Head(200), text(r#"{"records":[]}"#)];
    let (_, sender) = serve("papers", &with("/metadata_condition", Value::Null), script);
    let request = &sender.requests.borrow()[0];
    assert_eq!(request.method, "POST");
    assert_eq!(
        format!(
            "{}://{}{}",
            request.scheme, request.authority, request.path_and_query
        ),
        "https://papers:8443/dify/retrieval"
    );
    assert_eq!(
        request.headers.text("authorization"),
        Some("Bearer papers-secret")
    );
    assert_eq!(
        request.headers.text("content-type"),
        Some("application/json")
    );
    // Without `metadata_condition`: some engines fail on null.
    assert_eq!(
        serde_json::from_slice::<Value>(&request.body).unwrap(),
        query()
    );

    let (_, sender) = serve(
        "open",
        &query(),
        vec![Step::Head(200), text(r#"{"records":[]}"#)],
    );
    assert!(
        !sender.requests.borrow()[0]
            .headers
            .contains("authorization")
    );
}

#[test]
fn what_is_no_query_is_told_what_is_wrong() {
    for (body, part) in [
        ("{", "not JSON"),
        ("\u{feff}", "not JSON"),
        ("[]", "a JSON object"),
        ("null", "a JSON object"),
        ("{}", "`query`"),
        (r#"{"query": 1}"#, "`query`"),
        (r#"{"query": "q", "knowledge_id": 7}"#, "`knowledge_id`"),
        (
            r#"{"query": "q", "retrieval_setting": []}"#,
            "`retrieval_setting`",
        ),
        (
            r#"{"query": "q", "retrieval_setting": {"score_threshold": "0.5"}}"#,
            "score_threshold",
        ),
        (
            r#"{"query": "q", "metadata_condition": []}"#,
            "`metadata_condition`",
        ),
        (
            r#"{"query": "q", "metadata_condition": {"logical_operator": "xor"}}"#,
            "logical_operator",
        ),
        (
            r#"{"query": "q", "metadata_condition": {"conditions": {}}}"#,
            "conditions",
        ),
        (
            r#"{"query": "q", "metadata_condition": {"conditions": [1]}}"#,
            "comparison_operator",
        ),
        (
            r#"{"query": "q", "metadata_condition": {"conditions": [{"comparison_operator": "is", "value": 1}]}}"#,
            "`name`",
        ),
        (
            r#"{"query": "q", "metadata_condition": {"conditions": [{"name": [], "comparison_operator": "is"}]}}"#,
            "`name`",
        ),
        (
            r#"{"query": "q", "metadata_condition": {"conditions": [{"name": "a", "comparison_operator": "is", "value": {}}]}}"#,
            "`value`",
        ),
    ] {
        let answer = Answer::from(Request::parse(body.as_bytes()).unwrap_err());
        assert_eq!(
            (answer.status.as_u16(), answer.outcome),
            (400, RetrievalOutcome::InvalidRequest),
            "{body}"
        );
        let (code, message) = error(&answer);
        assert_eq!(code, 3001);
        assert!(message.contains(part), "{body}: {message}");
    }
}
