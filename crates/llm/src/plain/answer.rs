//! The answer in one piece that nearly all are: one choice with a text that ended as it should.

use serde::Deserialize;

use super::{Object, Says};
use crate::Usage;

/// Longer ones are not read twice.
const MAX_BYTES: usize = 64 * 1024;

/// The tokens that a plain answer names; `None` where it is not plain.
pub(crate) fn plain_answer(body: &[u8]) -> Option<Option<Usage>> {
    let document = std::str::from_utf8(body)
        .ok()
        .filter(|document| document.len() <= MAX_BYTES)?;
    let Object(answer): Object<Answer<'_>> = serde_json::from_str(document).ok()?;
    let (Object(choice),) = answer.choices;
    let Object(message) = choice.message;
    (!matches!(message.content, Says::Nothing)).then_some(answer.usage)
}

/// `()` is null or not there. An error beside a choice that says something is none to clients.
#[derive(Deserialize)]
struct Answer<'d> {
    #[serde(borrow)]
    choices: (Object<Choice<'d>>,),
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what must be null, or good, is not read")]
struct Choice<'d> {
    #[serde(borrow)]
    message: Object<Message<'d>>,
    #[serde(default)]
    finish_reason: Option<End>,
    #[serde(default)]
    delta: (),
    #[serde(default)]
    error: (),
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what must be null is not read")]
struct Message<'d> {
    #[serde(borrow, default)]
    content: Says<'d>,
    #[serde(default)]
    error: (),
}

/// Ends that are no failure, and of no filter.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum End {
    Stop,
    Length,
    ToolCalls,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    use super::*;
    use crate::inspect::{Inspected, member_by_member};
    use crate::plain::samples::{list, object, value};

    const MESSAGE: [&str; 8] = [
        "content",
        "\\u0063ontent",
        "reasoning_content",
        "role",
        "tool_calls",
        "refusal",
        "error",
        "annotations",
    ];
    const CHOICE: [&str; 8] = [
        "message",
        "delta",
        "index",
        "finish_reason",
        "finish_reason",
        "text",
        "error",
        "logprobs",
    ];
    const ANSWER: [&str; 8] = [
        "choices",
        "id",
        "data",
        "usage",
        "error",
        "base_resp",
        "code",
        "status",
    ];
    const USAGE: [&str; 8] = [
        r#"{"prompt_tokens":3,"completion_tokens":4,"details":{"x":[1]}}"#,
        r#"{"prompt_tokens":3.7,"completion_tokens":-4}"#,
        r#"{"prompt_tokens":"3","completion_tokens":null}"#,
        r#"{"prompt_tokens":[1],"completion_tokens":{"a":1}}"#,
        r#"{"prompt_tokens":99999999999999999999999,"completion_tokens":true}"#,
        "[1,2]",
        "{}",
        "7",
    ];

    fn answer() -> impl Strategy<Value = String> {
        let content = prop_oneof![3 => Just("\"x\"".to_owned()), 1 => value()];
        let message = object("content", content, &MESSAGE);
        let choice = object("message", message, &CHOICE);
        let usage = prop_oneof![3 => select(&USAGE[..]).prop_map(ToOwned::to_owned), 1 => value()];
        let answer = object("choices", list(choice), &ANSWER);
        (answer, usage, any::<bool>()).prop_map(|(answer, usage, has_usage)| {
            match answer.strip_suffix('}') {
                Some(open) if has_usage => format!("{open},\"usage\":{usage}}}"),
                _ => answer,
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn what_is_plain_is_the_same_member_by_member(body in answer()) {
            if let Some(usage) = plain_answer(body.as_bytes()) {
                prop_assert_eq!(member_by_member(body.as_bytes()), Some(Inspected::Answer(usage)));
            }
        }
    }

    #[test]
    fn many_of_these_answers_are_plain() {
        let mut runner = TestRunner::deterministic();
        let bodies = (0..4000).map(|_| answer().new_tree(&mut runner).unwrap().current());
        let plain = bodies.filter(|body| plain_answer(body.as_bytes()).is_some());
        let plain = plain.count();
        assert!(plain > 200, "{plain} of 4000");
    }

    #[test]
    fn failures_are_not_plain() {
        for choice in [
            r#"{"message":{"content":"x"},"finish_reason":"error"}"#,
            r#"{"message":{"content":"x"},"finish_reason":"content_filter"}"#,
            r#"{"message":{"content":"x"},"error":{"message":"m"}}"#,
            r#"{"message":{"content":"x","error":"m"}}"#,
            r#"{"message":{"content":""},"finish_reason":"stop"}"#,
            r#"{"message":["x"]}"#,
        ] {
            let body = format!("{{\"choices\":[{choice}]}}");
            assert_eq!(plain_answer(body.as_bytes()), None, "{body}");
        }
    }
}
