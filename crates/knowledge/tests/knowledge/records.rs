//! What Dify gets of an engine's answer.

use serde_json::{Value, json};
use spillway_knowledge::RetrievalOutcome;

use crate::scripted::Step;
use crate::{body, milliseconds, query, serve, text};

fn records(name: &str, asked: &Value, answer: &Value) -> Value {
    let (answer, _) = serve(name, asked, vec![Step::Head(200), text(answer)]);
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    body(&answer)["records"].clone()
}

fn without_threshold() -> Value {
    let mut body = query();
    body["retrieval_setting"] = json!({"top_k": 10, "score_threshold": 0.0});
    body
}

#[test]
fn ragflows_chunks_become_records() {
    let found = json!({"code": 0, "data": {"total": 1, "doc_aggs": [], "chunks": [{
        "id": "c1", "content": "one", "document_id": "o1", "document_keyword": "a.pdf", "dataset_id": "d1",
        "similarity": 0.75, "vector_similarity": 0.9, "term_similarity": 0.1, "positions": [[1, 2]],
        "important_keywords": [], "image_id": "",
    }]}});
    assert_eq!(
        records("handbook", &query(), &found),
        json!([{"content": "one", "score": 0.75, "title": "a.pdf",
                "metadata": {"document_id": "o1", "doc_id": "o1", "dataset_id": "d1", "chunk_id": "c1"}}])
    );
}

#[test]
fn a_score_that_python_wrote_and_json_does_not_know_counts_as_none() {
    for (name, answer) in [
        (
            "handbook",
            r#"{"code": 0, "data": {"chunks": [{"content": "one", "similarity": NaN}, {"content": "NaN", "similarity": 0.5}]}}"#,
        ),
        (
            "papers",
            r#"{"records": [{"content": "one", "score": NaN}, {"content": "NaN", "score": 0.5}]}"#,
        ),
    ] {
        let script = vec![Step::Head(200), text(answer)];
        let (answer, _) = serve(name, &without_threshold(), script);
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let records = &body(&answer)["records"];
        assert_eq!(records[0]["content"], "NaN");
        assert_eq!(records[1]["score"], 0.0);
    }
}

#[test]
fn names_of_other_releases_serve_as_well() {
    let found = json!({"code": 0, "message": "success", "data": {
        "chunks": [
            {"chunk_id": "c1", "content_with_weight": "one", "doc_id": "o1", "docnm_kwd": "a.pdf", "kb_id": "d1", "similarity": 0.9},
            {"content": "two", "document_id": "o2", "document_name": "b.pdf", "similarity": 0.8,
             "document_metadata": {"author": "Toby", "document_id": "theirs"}},
            {"content": "three", "document_id": "o3", "similarity": 0.7},
            {"content": "four", "document_id": "o4", "similarity": 0.6, "document_keyword": null},
            null,
        ],
        "doc_aggs": [{"doc_id": "o3", "doc_name": "c.pdf", "count": 1}],
    }});
    let records = records("handbook", &without_threshold(), &found);
    let titles: Vec<&Value> = records
        .as_array()
        .unwrap()
        .iter()
        .map(|record| &record["title"])
        .collect();
    assert_eq!(titles, ["a.pdf", "b.pdf", "c.pdf", ""]);
    assert_eq!(
        records[0]["metadata"],
        json!({"document_id": "o1", "doc_id": "o1", "dataset_id": "d1", "chunk_id": "c1"})
    );
    assert_eq!(
        records[1]["metadata"],
        json!({"author": "Toby", "document_id": "o2", "doc_id": "o2"})
    );
}

#[test]
fn the_best_come_first_and_no_more_than_asked_for() {
    let item = |content: &str, score: f64| json!({"content": content, "score": score, "title": "", "metadata": {}});
    let found = json!({"records": [
        item("e", 0.1), item("c", 0.5), item("a", 0.9), item("d", 0.49), item("b1", 0.7), item("b2", 0.7), item("f", -1.0),
    ]});
    let contents = |asked: &Value| -> Vec<String> {
        let records = records("papers", asked, &found);
        let content = |record: &Value| record["content"].as_str().unwrap().to_owned();
        records.as_array().unwrap().iter().map(content).collect()
    };
    assert_eq!(contents(&query()), ["a", "b1", "b2"]);
    assert_eq!(
        contents(&without_threshold()),
        ["a", "b1", "b2", "c", "d", "e", "f"]
    );
    let mut asked = query();
    asked["retrieval_setting"]["top_k"] = json!(10);
    assert_eq!(
        contents(&asked),
        ["a", "b1", "b2", "c"],
        "the threshold itself is enough"
    );
}

#[test]
fn every_record_has_all_four_members() {
    let found = json!({"records": [
        {"content": "one", "score": "0.5", "title": null, "metadata": null},
        null,
        {"content": "two"},
        {"content": 3, "score": null, "title": 4, "metadata": [1]},
        {"content": "five", "score": "much", "title": {}, "metadata": {"a": {"b": null}}, "more": 1},
        {"content": "", "score": 1},
        {"content": null, "score": 1},
        {"content": ["x"], "score": 1},
        {"score": 1},
    ]});
    assert_eq!(
        records("papers", &without_threshold(), &found),
        json!([
            {"content": "one", "score": 0.5, "title": "", "metadata": {}},
            {"content": "two", "score": 0.0, "title": "", "metadata": {}},
            {"content": "3", "score": 0.0, "title": "4", "metadata": {}},
            {"content": "five", "score": 0.0, "title": "", "metadata": {"a": {"b": null}}},
        ])
    );
}

#[test]
fn nothing_found_is_an_empty_list() {
    for (name, found) in [
        ("papers", r#"{"records": []}"#),
        ("papers", r#"{"records": null}"#),
        (
            "handbook",
            r#"{"code": 0, "data": {"total": 0, "chunks": [], "doc_aggs": {}}}"#,
        ),
        (
            "handbook",
            r#"{"code": 0, "message": "success", "data": {"total": 0, "chunks": null, "doc_aggs": null}}"#,
        ),
        (
            "handbook",
            r#"{"code": 0, "data": {"chunks": [{"content": "weak", "similarity": 0.4}]}}"#,
        ),
    ] {
        let (answer, _) = serve(name, &query(), vec![Step::Head(200), text(found)]);
        assert_eq!(
            (answer.status.as_u16(), answer.outcome),
            (200, RetrievalOutcome::Empty),
            "{found}"
        );
        assert_eq!(answer.body, r#"{"records":[]}"#);
    }
}

#[test]
fn an_answer_may_come_in_pieces_until_just_before_the_deadline() {
    let whole = r#"{"records": [{"content": "größer", "score": 1, "title": "", "metadata": {}}]}"#
        .as_bytes();
    let mut script = vec![Step::Head(200)];
    for piece in whole.chunks(7) {
        script.push(Step::Bytes(piece.to_vec()));
    }
    script.insert(0, Step::Wait(milliseconds(4000)));
    script.insert(3, Step::Wait(milliseconds(499)));
    let (answer, _) = serve("papers", &query(), script);
    assert_eq!(body(&answer)["records"][0]["content"], "größer");
}

#[test]
fn queries_are_logged_only_where_that_is_asked_for() {
    let (answer, _) = serve(
        "papers",
        &query(),
        vec![
            Step::Wait(milliseconds(12)),
            Step::Head(200),
            text(r#"{"records":[]}"#),
        ],
    );
    assert_eq!(
        (answer.records, answer.query.as_deref(), answer.detail),
        (Some(0), Some("What is new?"), None)
    );
    let (answer, _) = serve(
        "handbook",
        &query(),
        vec![Step::Head(200), text(r#"{"code":0,"data":{"chunks":[]}}"#)],
    );
    assert_eq!((answer.query, answer.detail), (None, None));
    let mut asked = query();
    asked["query"] = json!("long ".repeat(200));
    let (answer, _) = serve("papers", &asked, vec![Step::Head(500)]);
    assert_eq!(answer.query.map(|query| query.len()), Some(500));
    assert!(answer.detail.is_some() && answer.records.is_none());
}
