//! Whatever Dify sends and whatever an engine answers: an answer, well-formed and in time.

use proptest::prelude::*;
use serde_json::{Value, json};
use spillway_knowledge::{Request, RetrievalOutcome};
use spillway_platform::{Clock, SendError};

use crate::scripted::Step;
use crate::{Answer, body, error, milliseconds, query, serve, serve_bytes};

/// Asserts all that the contract promises.
fn is_well_formed(answer: &Answer, top_k: usize, threshold: f64) {
    if answer.status != 200 {
        assert!(
            [400, 404, 424, 502, 503].contains(&answer.status.as_u16()),
            "{answer:?}"
        );
        let (code, message) = error(answer);
        assert!((1000..6000).contains(&code) && !message.is_empty());
        return;
    }
    let body = body(answer);
    let records = body["records"].as_array().unwrap();
    assert!(records.len() <= top_k);
    let mut last = f64::INFINITY;
    for record in records {
        let members = record.as_object().unwrap();
        assert_eq!(members.len(), 4, "{record}");
        assert!(
            record["content"]
                .as_str()
                .is_some_and(|content| !content.is_empty())
        );
        assert!(record["title"].is_string() && record["metadata"].is_object());
        let score = record["score"].as_f64().unwrap();
        assert!(score <= last && score >= threshold, "{body}");
        last = score;
    }
    let expected = if records.is_empty() {
        RetrievalOutcome::Empty
    } else {
        RetrievalOutcome::Ok
    };
    assert_eq!(answer.outcome, expected);
}

fn json_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0.0..1.0).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// An object whose members are mostly the known ones, with any values.
fn objects(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let member = (prop::sample::select(names), json_values());
    prop::collection::vec(member, 0..8).prop_map(|members| {
        Value::Object(
            members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    })
}

const CHUNK: [&str; 13] = [
    "content",
    "content_with_weight",
    "similarity",
    "document_keyword",
    "document_name",
    "docnm_kwd",
    "document_id",
    "doc_id",
    "dataset_id",
    "kb_id",
    "id",
    "chunk_id",
    "document_metadata",
];

/// What an engine might answer, from the likely to the absurd.
fn answers() -> impl Strategy<Value = String> {
    let items = |names| prop::collection::vec(objects(names), 0..12);
    prop_oneof![
        items(&["content", "score", "title", "metadata"])
            .prop_map(|items| json!({"records": items}).to_string()),
        (items(&CHUNK), json_values()).prop_map(|(chunks, documents)| {
            json!({"code": 0, "data": {"chunks": chunks, "doc_aggs": documents}}).to_string()
        }),
        objects(&[
            "code",
            "message",
            "data",
            "records",
            "error_code",
            "error_msg"
        ])
        .prop_map(|value| value.to_string()),
        json_values().prop_map(|value| value.to_string()),
        ".{0,64}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_body_makes_a_request_panic(body in prop::collection::vec(any::<u8>(), 0..128)) {
        if let Err(answer) = Request::parse(&body) {
            is_well_formed(&answer.into(), 0, 0.0);
        }
    }

    #[test]
    fn no_request_makes_the_gateway_panic(
        name in prop::sample::select(vec!["handbook", "papers"]),
        request in objects(&["query", "knowledge_id", "retrieval_setting", "metadata_condition"]),
        setting in objects(&["top_k", "score_threshold"]),
        conditions in prop::collection::vec(objects(&["name", "comparison_operator", "value"]), 0..3),
    ) {
        let mut likely = request.clone();
        likely["query"] = json!("q");
        likely["knowledge_id"] = json!("d1");
        likely["retrieval_setting"] = setting;
        likely["metadata_condition"] = json!({"conditions": conditions});
        for request in [request, likely] {
            let found = r#"{"code":0,"data":{"chunks":[]},"records":[]}"#;
            let scripts = vec![vec![Step::Head(200), Step::Bytes(found.into())]];
            let (answer, _) = serve_bytes(name, request.to_string().as_bytes(), scripts);
            if answer.outcome != RetrievalOutcome::Probe {
                is_well_formed(&answer, 0, 0.0);
            }
        }
    }

    #[test]
    fn any_answer_of_an_engine_becomes_records_or_an_error(
        name in prop::sample::select(vec!["handbook", "papers"]),
        status in prop_oneof![3 => Just(200_u16), 1 => 200..600_u16],
        answer in answers(),
        cut in any::<prop::sample::Index>(),
        pause in 0..6000_u64,
        breaks in prop::option::weighted(0.1, Just(SendError::Reset("cut".to_owned()))),
        top_k in 1..8_usize,
        threshold in prop_oneof![Just(0.0), 0.0..1.0],
    ) {
        let mut asked = query();
        asked["retrieval_setting"] = json!({"top_k": top_k, "score_threshold": threshold});
        let (left, right) = answer.as_bytes().split_at(cut.index(answer.len() + 1));
        let mut script = vec![
            Step::Head(status),
            Step::Bytes(left.to_vec()),
            Step::Wait(milliseconds(pause)),
            Step::Bytes(right.to_vec()),
        ];
        script.extend(breaks.map(Step::Fail));
        let (answer, sender) = serve(name, &asked, script);
        prop_assert!(sender.clock.now() <= milliseconds(4500));
        is_well_formed(&answer, top_k, if threshold > 0.0 { threshold } else { f64::NEG_INFINITY });
    }
}
