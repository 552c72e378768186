//! Both ways of reading a chunk, held against each other: that of an event with a name is the slow one.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;
use crate::plain::ChunkTemplate;
use crate::plain::samples::{list, object, value};
use crate::{Dialect, Progress, StreamPipeline};

const DELTA: [&str; 12] = [
    "content",
    "content",
    "content",
    "\\u0063ontent",
    "reasoning_content",
    "reasoning",
    "role",
    "tool_calls",
    "refusal",
    "images",
    "error",
    "function_call",
];
const CHOICE: [&str; 8] = [
    "delta",
    "index",
    "finish_reason",
    "text",
    "message",
    "error",
    "logprobs",
    "stop_reason",
];
const CHUNK: [&str; 10] = [
    "choices",
    "id",
    "object",
    "usage",
    "error",
    "base_resp",
    "code",
    "type",
    "status",
    "model",
];

fn chunk() -> impl Strategy<Value = String> {
    let content = prop_oneof![3 => Just("\"x\"".to_owned()), 1 => value()];
    let delta = object("content", content, &DELTA);
    let choice = object("delta", delta, &CHOICE);
    object("choices", list(choice), &CHUNK)
}

/// How a stream goes that this chunk stands in.
#[derive(Debug, PartialEq)]
struct Course {
    progress: Progress,
    has_content: bool,
    is_finished: bool,
    is_settled: bool,
    output: String,
    end: Progress,
    ending: String,
}

fn course(before: &str, name: &str, chunk: &str, wants_usage: bool) -> Course {
    let mut reader = StreamPipeline::new(Dialect::OpenAi, wants_usage, 0);
    reader.push(before.as_bytes());
    let progress = reader.push(format!("{name}data: {chunk}\n\n").as_bytes());
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Course {
        progress,
        has_content: reader.has_content(),
        is_finished: reader.is_finished(),
        is_settled: reader.is_settled(),
        output: text(reader.take_output()),
        end: reader.finish(),
        ending: text(reader.take_ending()),
    }
}

#[test]
fn what_providers_send_is_plain() {
    for (chunk, expected) in [
        // OpenAI
        (
            r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt-4o","service_tier":"default","system_fingerprint":"fp","choices":[{"index":0,"delta":{"content":"Hi"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"x"}"#,
            Some((0, true)),
        ),
        // vLLM
        (
            r#"{"id":"c","choices":[{"index":1,"delta":{"role":"assistant","content":"a\n","reasoning_content":null,"tool_calls":null},"logprobs":null,"finish_reason":null,"stop_reason":null,"token_ids":null}],"prompt_token_ids":null}"#,
            Some((1, true)),
        ),
        // DeepSeek
        (
            r#"{"id":"c","choices":[{"index":0,"delta":{"content":null,"reasoning_content":"Let"},"finish_reason":null}]}"#,
            Some((0, false)),
        ),
        (
            r#"{"choices":[{"index":0,"delta":{"content":""},"finish_reason":null}]}"#,
            None,
        ),
        (
            r#"{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}"#,
            None,
        ),
        (
            r#"{"choices":[{"index":0,"delta":{"content":"x"}}],"usage":{"prompt_tokens":1}}"#,
            None,
        ),
        (
            r#"{"choices":[{"index":0,"delta":{"content":"\ud800"}}]}"#,
            None,
        ),
        // Lists are no objects.
        (r#"[[{"delta":{"content":"x"}}]]"#, None),
        (r#"{"choices":[[0,{"content":"x"}]]}"#, None),
        (r#"{"choices":[{"index":0,"delta":["x"]}]}"#, None),
    ] {
        let read = whole(chunk.as_bytes());
        assert_eq!(read.map(|it| (it.index, it.answers)), expected, "{chunk}");
    }
}

fn whole(data: &[u8]) -> Option<PlainChunk> {
    PlainChunk::read(data).map(|(chunk, _)| chunk)
}

/// Around the text of a chunk that it follows on.
const AROUND: [(&str, &str); 4] = [
    (
        r#"{"id":"c","choices":[{"index":0,"delta":{"content":""#,
        r#""},"finish_reason":null}],"usage":null}"#,
    ),
    (
        r#"{"choices":[{"delta":{"reasoning_content":""#,
        r#"","content":null}}]}"#,
    ),
    (
        r#"{"choices":[{"delta":{"reasoning_content":"y","content":""#,
        r#""}}]}"#,
    ),
    (
        r#"{"choices":[{"delta":{"role":"assistant","content":""#,
        r#""},"index":3}],"\\":"x"}"#,
    ),
];

/// What a provider, or an attacker behind one, may write between two quotes.
fn inside() -> impl Strategy<Value = Vec<u8>> {
    let pieces: [&[u8]; 16] = [
        b"x",
        b" word",
        "h\u{e9}".as_bytes(),
        b"\\n",
        b"\\\"",
        b"\\\\",
        b"\\",
        b"\"",
        b"\\u0041",
        b"\\ud800",
        b"\n",
        b"\xff",
        b"\xc3",
        b"\",\"finish_reason\":\"stop",
        b"\x00",
        b"\x7f",
    ];
    prop::collection::vec(select(pieces.to_vec()), 0..4).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn what_follows_a_chunk_is_read_as_if_it_stood_alone(
        around in select(&AROUND[..]), first in inside(), second in inside()
    ) {
        let chunk = |text: &[u8]| [around.0.as_bytes(), text, around.1.as_bytes()].concat();
        let mut template = ChunkTemplate::default();
        for text in [first, second, b"z".to_vec()] {
            prop_assert_eq!(template.read(&chunk(&text)), whole(&chunk(&text)));
        }
    }

    #[test]
    fn both_ways_say_the_same(text in chunk(), wants_usage: bool, place in 0..3_usize) {
        let before = [
            "",
            "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n",
            "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\n",
        ];
        let before = before.get(place).copied().unwrap_or_default();
        let plainly = course(before, "", &text, wants_usage);
        let slowly = course(before, "event: m\n", &text, wants_usage);
        prop_assert_eq!(plainly, slowly);
    }
}

/// Else the comparison would be of the slow way with itself.
#[test]
fn many_of_these_chunks_are_plain() {
    let mut runner = TestRunner::deterministic();
    let texts = (0..4000).map(|_| chunk().new_tree(&mut runner).unwrap().current());
    let plain = texts.filter(|text| whole(text.as_bytes()).is_some());
    let plain = plain.count();
    assert!(plain > 200, "{plain} of 4000");
}
