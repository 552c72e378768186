//! The most that a call's answer can have.

use bytes::Bytes;

use crate::{ModelRequest, Operation};

/// What engines that speak OpenAI's chat and completions API call it.
const OF_CHATS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

/// What OpenAI's Responses API calls it.
const OF_RESPONSES: [&str; 1] = ["max_output_tokens"];

/// How many answers are asked for, and how many of them are made before the best is chosen.
const ANSWERS: [&str; 2] = ["n", "best_of"];

/// More tokens no call asks for.
const MAX_CAP: f64 = 1e9;

impl ModelRequest {
    /// How many tokens its answer has at most, as far as the call says so: of several caps the *largest*, as an engine may go
    /// by any of them; for all answers that it asks for. `None` where it names none. `of_model`: the most that its model
    /// answers with.
    pub fn output_cap(&self, operation: Operation, of_model: Option<u64>) -> Option<u64> {
        let names: &[&str] = match operation {
            Operation::Embeddings => return Some(0),
            Operation::Stateful => &OF_RESPONSES,
            _ => &OF_CHATS,
        };
        let largest = |names: &[&str]| {
            let members = self.members().iter();
            let named = members.filter(|(name, _)| names.contains(&name.as_str()));
            named.filter_map(|(_, value)| number(value)).max()
        };
        let answers = largest(&ANSWERS).unwrap_or(1).max(1);
        let cap = largest(names).or(of_model)?;
        Some(cap.saturating_mul(answers))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::as_conversions,
    reason = "within bounds"
)]
fn number(value: &Bytes) -> Option<u64> {
    let number: f64 = serde_json::from_slice(value).ok()?;
    // To some engines what is not above zero is no limit at all.
    (number > 0.0).then(|| number.min(MAX_CAP).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_cap_that_is_named_counts() {
        let cap = |members: &str, operation, of_model| {
            let body = Bytes::from(format!(r#"{{"model":"m"{members}}}"#));
            let request = ModelRequest::parse(&body, operation).unwrap();
            request.output_cap(operation, of_model)
        };
        let chat = |members| cap(members, Operation::ChatCompletions, Some(8_192));
        assert_eq!(chat(""), Some(8_192));
        assert_eq!(
            chat(r#","max_tokens":1,"max_completion_tokens":10000"#),
            Some(10_000)
        );
        assert_eq!(chat(r#","max_tokens":1,"max_tokens":300"#), Some(300));
        assert_eq!(chat(r#","max_tokens":100,"n":3"#), Some(300));
        assert_eq!(chat(r#","max_tokens":1e99"#), Some(1_000_000_000));
        // Not a name that chats go by, and no number.
        assert_eq!(chat(r#","max_output_tokens":1"#), Some(8_192));
        assert_eq!(chat(r#","max_tokens":null,"n":"x""#), Some(8_192));
        assert_eq!(chat(r#","max_tokens":-1"#), Some(8_192));
        assert_eq!(cap("", Operation::ChatCompletions, None), None);
        assert_eq!(cap("", Operation::Embeddings, None), Some(0));
        assert_eq!(
            cap(r#","max_output_tokens":7"#, Operation::Stateful, None),
            Some(7)
        );
    }
}
