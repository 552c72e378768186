//! Streams that come where one document was asked for.

use serde_json::{Value, json};

use crate::*;

fn assembled(deltas: &[Value]) -> Value {
    let mut script = vec![Step::Head(200, SSE)];
    for delta in deltas {
        script.push(text(&format!(
            "data: {}\n\n",
            json!({"id": "1", "choices": [{"index": 0, "delta": delta}]})
        )));
    }
    script.extend([text(STOP), text(DONE)]);
    let (completed, _) = complete(vec![script], "");
    assert_eq!(completed.answer.reason, Reason::Ok, "{deltas:?}");
    let answer: Value = serde_json::from_slice(&completed.answer.body).unwrap();
    answer.pointer("/choices/0/message").cloned().unwrap()
}

fn call(id: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}})
}

#[test]
fn tool_calls_are_told_apart_by_index_or_id_and_go_on_by_either() {
    let two = json!([call("a", "{\"x\":1}"), call("b", "{\"x\":2}")]);
    let piece = |mut call: Value, index: Option<u64>| {
        if let Some(index) = index {
            call["index"] = index.into();
        }
        json!({"tool_calls": [call]})
    };
    let more = |arguments: &str| json!({"function": {"name": null, "arguments": arguments}});
    let same_name = |arguments: &str| json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}});
    for deltas in [
        vec![json!({"tool_calls": [call("a", "{\"x\":1}"), call("b", "{\"x\":2}")]})],
        vec![
            piece(call("a", "{\"x\":1}"), None),
            piece(call("b", "{\"x\":2}"), None),
        ],
        vec![
            piece(call("a", "{\"x\":1}"), Some(0)),
            piece(call("b", "{\"x\":2}"), Some(0)),
        ],
        vec![
            piece(call("a", "{\"x\":1}"), Some(0)),
            piece(call("b", "{\"x\":2}"), Some(1)),
        ],
        vec![
            piece(call("a", ""), None),
            piece(more("{\"x\""), None),
            piece(more(":1}"), None),
            piece(call("b", "{\"x\":"), None),
            piece(more("2}"), None),
        ],
        vec![
            piece(call("b", "{\"x\":"), Some(1)),
            piece(call("a", "{\"x\":1"), Some(0)),
            piece(more("2}"), Some(1)),
            piece(more("}"), Some(0)),
        ],
        vec![
            piece(same_name("{\"x\""), Some(0)),
            piece(same_name(":1}"), Some(0)),
            piece(call("b", "{\"x\":2}"), Some(1)),
        ],
    ] {
        assert_eq!(assembled(&deltas)["tool_calls"], two, "{deltas:?}");
    }
    let nameless = |arguments: &str| json!({"tool_calls": [{"function": {"name": "f", "arguments": arguments}}]});
    let calls = assembled(&[nameless("{\"x\":1}"), nameless("{\"x\":2}")]);
    assert_eq!(calls["tool_calls"].as_array().unwrap().len(), 2);
}

#[test]
fn older_calls_sound_and_whole_messages_are_kept() {
    assert_eq!(
        assembled(&[
            json!({"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{\"x\""}}),
            json!({"function_call": {"name": null, "arguments": ":1}"}}),
        ])["function_call"],
        json!({"name": "f", "arguments": "{\"x\":1}"})
    );
    assert_eq!(
        assembled(&[
            json!({"audio": {"id": "s", "data": "AA", "transcript": "He"}}),
            json!({"audio": {"id": "s", "data": "BB", "transcript": "llo"}}),
            json!({"audio": {"expires_at": 7}}),
        ])["audio"],
        json!({"id": "s", "data": "AABB", "transcript": "Hello", "expires_at": 7})
    );
    let script = vec![
        Step::Head(200, SSE),
        text(
            "data: {\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\n",
        ),
        text(DONE),
    ];
    let (completed, _) = complete(vec![script], "");
    let answer: Value = serde_json::from_slice(&completed.answer.body).unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "hi");
}

#[test]
fn lines_without_a_blank_one_between_are_chunks_each() {
    let script = vec![
        Step::Head(200, SSE),
        text(&format!("{}{}{STOP}{DONE}", chunk("h"), chunk("i")).replace("\n\n", "\n")),
    ];
    let (completed, _) = complete(vec![script], "");
    assert_eq!(completed.answer.reason, Reason::Ok);
    let answer: Value = serde_json::from_slice(&completed.answer.body).unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "hi");
}

#[test]
fn numbers_beyond_all_lose_no_text_and_whole_messages_double_none() {
    let beyond = chunk("a").replace("\"id\":\"1\"", "\"id\":\"1\",\"score\":1e999");
    let both = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\"},\"message\":{\"content\":\"b\"}}]}\n\n";
    let last = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"message\":{\"content\":\"ab\"},\"finish_reason\":\"stop\"}]}\n\n";
    let script = vec![
        Step::Head(200, SSE),
        text(&beyond),
        text(both),
        text(last),
        text(DONE),
    ];
    let (completed, _) = complete(vec![script], "");
    let answer: Value = serde_json::from_slice(&completed.answer.body).unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "ab", "{answer}");
}
