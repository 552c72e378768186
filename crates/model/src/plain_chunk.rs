//! The chunk that nearly all of a stream consists of, read in one pass: one choice that says something and goes on.
//!
//! **Rule.** What has a member that might mean more, or one in another form, is none, though it may be a chunk: then it
//! is read member by member ([`crate::said`]). **Guarantee.** Of a plain chunk both ways say the same.
//! **Cost.** A third of what the other way takes.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

/// What the gateway needs to know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlainChunk {
    /// Which of the choices.
    pub index: i64,
    /// Whether it has something of the answer itself, not thoughts alone.
    pub answers: bool,
}

impl PlainChunk {
    pub(crate) fn read(data: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(data).ok()?;
        let chunk: Chunk = serde_json::from_str(text).ok()?;
        let (Choice { index, delta, .. },) = chunk.choices;
        let (Says(answers), Says(thinks)) = (delta.content, delta.reasoning_content);
        (answers || thinks).then_some(Self {
            index: i64::from(index),
            answers,
        })
    }
}

/// `()` is null or not there. Members that are not named here mean nothing to the gateway beside these.
#[derive(Deserialize)]
#[expect(dead_code, reason = "what must be null is not read")]
struct Chunk {
    choices: (Choice,),
    #[serde(default)]
    usage: (),
    #[serde(default)]
    error: (),
    #[serde(default)]
    base_resp: (),
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what must be null is not read")]
struct Choice {
    #[serde(default)]
    index: u16,
    delta: Delta,
    #[serde(default)]
    finish_reason: (),
    #[serde(default)]
    text: (),
    #[serde(default)]
    message: (),
    #[serde(default)]
    error: (),
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what must be null is not read")]
struct Delta {
    #[serde(default)]
    content: Says,
    #[serde(default)]
    reasoning_content: Says,
    #[serde(default)]
    tool_calls: (),
    #[serde(default)]
    function_call: (),
    #[serde(default)]
    refusal: (),
    #[serde(default)]
    audio: (),
    #[serde(default)]
    images: (),
    #[serde(default)]
    error: (),
}

/// Whether there is text: not null, nor empty.
#[derive(Default)]
struct Says(bool);

impl<'de> Deserialize<'de> for Says {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Says;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("text or null")
            }

            fn visit_str<E>(self, text: &str) -> Result<Says, E> {
                Ok(Says(!text.is_empty()))
            }

            fn visit_unit<E>(self) -> Result<Says, E> {
                Ok(Says(false))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;
    use serde_json::value::RawValue;

    use super::*;
    use crate::choice::{Choice, Finish};
    use crate::said::Said;

    const VALUES: [&str; 18] = [
        "null",
        "null",
        "null",
        "\"\"",
        "\"x\"",
        "\"x\"",
        "\"stop\"",
        "\"error\"",
        "0",
        "1",
        "-1",
        "0.0",
        "true",
        "[]",
        "{}",
        "[{\"a\":1}]",
        "{\"message\":\"m\"}",
        "\"a\\u0041\\n\"",
    ];

    fn object(
        names: &'static [&'static str],
        value: impl Strategy<Value = String> + 'static,
    ) -> impl Strategy<Value = String> {
        let member = (select(names), value).prop_map(|(name, value)| format!("\"{name}\":{value}"));
        prop::collection::vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(",")))
    }

    fn value() -> impl Strategy<Value = String> {
        select(&VALUES[..]).prop_map(ToOwned::to_owned)
    }

    fn chunk() -> impl Strategy<Value = String> {
        const PIECE: [&str; 11] = [
            "content",
            "content",
            "content",
            "reasoning_content",
            "reasoning",
            "role",
            "tool_calls",
            "refusal",
            "images",
            "error",
            "function_call",
        ];
        const CHOICE: [&str; 7] = [
            "index",
            "finish_reason",
            "text",
            "message",
            "error",
            "logprobs",
            "stop_reason",
        ];
        const CHUNK: [&str; 9] = [
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
        let choice =
            (object(&CHOICE, value()), object(&PIECE, value())).prop_map(|(choice, piece)| {
                let rest = choice.strip_prefix('{').unwrap();
                let comma = if rest == "}" { "" } else { "," };
                format!("{{\"delta\":{piece}{comma}{rest}")
            });
        let choices = prop::collection::vec(choice, 0..3).prop_map(|list| list.join(","));
        (object(&CHUNK, value()), choices).prop_map(|(chunk, choices)| {
            let rest = chunk.strip_prefix('{').unwrap();
            let comma = if rest == "}" { "" } else { "," };
            format!("{{\"choices\":[{choices}]{comma}{rest}")
        })
    }

    /// What the other way says, where it says no more than a plain chunk can.
    fn slowly(text: &str) -> Option<PlainChunk> {
        let document: &RawValue = serde_json::from_str(text).ok()?;
        let said = Said::of(document)?;
        let [choice] = &said.choices[..] else {
            return None;
        };
        let says_no_more = said.error(document).is_none()
            && said.usage().is_none()
            && *choice.finish() == Finish::Open
            && choice.has_content();
        says_no_more.then(|| PlainChunk {
            index: choice.index(),
            answers: Choice::answers(choice),
        })
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
        ] {
            let read = PlainChunk::read(chunk.as_bytes());
            assert_eq!(read.map(|it| (it.index, it.answers)), expected, "{chunk}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn both_ways_say_the_same(text in chunk()) {
            let plain = PlainChunk::read(text.as_bytes());
            prop_assert!(plain.is_none() || plain == slowly(&text), "{plain:?} {:?} {text}", slowly(&text));
        }
    }
}
