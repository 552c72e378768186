//! How many tokens a model's answer comes to, where its provider does not say.

use serde_json::value::RawValue;

use spillway_tokens::weigh_said;

use crate::said::Said;

/// So much of an answer in one piece is read, in bytes; what is longer is taken to go on as it began.
const MAX_READ_BYTES: usize = 1024 * 1024;

/// The tokens of an answer in one piece, as far as it says anything.
pub fn estimate_answer(body: &[u8]) -> u64 {
    if body.len() > MAX_READ_BYTES {
        let length = u64::try_from(body.len()).unwrap_or(u64::MAX);
        let beginning = body.get(..MAX_READ_BYTES).unwrap_or_default();
        let weight = weigh_said(beginning).saturating_mul(length);
        let read = u64::try_from(MAX_READ_BYTES).unwrap_or(u64::MAX);
        return weight.div_ceil(read).div_ceil(100);
    }
    let document = serde_json::from_slice::<&RawValue>(body.trim_ascii()).ok();
    let said = document.and_then(Said::of);
    let choices = said.into_iter().flat_map(|said| said.choices);
    choices
        .map(|choice| choice.weight())
        .sum::<u64>()
        .div_ceil(100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dialect, StreamPipeline};

    #[test]
    fn what_a_model_said_weighs_and_nothing_else() {
        let said = |body: &str| estimate_answer(body.as_bytes());
        let text = r#"{"id":"chatcmpl-1234567890","choices":[{"index":0,"message":{"role":"assistant","content":"one two three"},"finish_reason":"stop","logprobs":{"content":[{"token":"one"}]}}]}"#;
        assert_eq!(said(text), 4);
        let call = r#"{"choices":[{"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_abcdefgh","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Rome\"}"}}]}}]}"#;
        assert!((5..=12).contains(&said(call)), "{}", said(call));
        assert_eq!(said(r#"{"choices":[{"text":"one two"}]}"#), 3);
        assert_eq!(said(r#"{"data":[{"embedding":"AAAAAAAA"}]}"#), 0);
        assert_eq!(said("no JSON"), 0);
    }

    #[test]
    fn a_stream_says_what_its_chunks_say_in_whatever_form() {
        let mut stream = StreamPipeline::new(Dialect::OpenAi, false, 0);
        let mut said = |delta: &str| {
            let chunk = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n");
            let before = stream.estimated_output();
            stream.push(chunk.as_bytes());
            stream.estimated_output() - before
        };
        for (delta, tokens) in [
            (r#"{"role":"assistant","content":""}"#, 0..=0),
            (r#"{"content":"one two three"}"#, 3..=4),
            (r#"{"content":"four five six"}"#, 3..=4),
            (r#"{"content":"a\u0020b\nc"}"#, 3..=5),
            (r#"{"reasoning_content":"one two"}"#, 2..=3),
            (r#"{"refusal":"one two"}"#, 2..=3),
            (
                r#"{"tool_calls":[{"index":0,"id":"call_0123456789abcdef","type":"function","function":{"name":"get weather","arguments":""}}]}"#,
                2..=3,
            ),
        ] {
            let found = said(delta);
            assert!(tokens.contains(&found), "{delta}: {found}");
        }
    }

    #[test]
    fn a_long_answer_is_taken_to_go_on_as_it_began() {
        let text = "one two three four five six seven ".repeat(100_000);
        let body = format!(r#"{{"choices":[{{"message":{{"content":"{text}"}}}}]}}"#);
        let tokens = estimate_answer(body.as_bytes());
        assert!((690_000..780_000).contains(&tokens), "{tokens}");
    }
}
