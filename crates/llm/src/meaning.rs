//! What an error is about, told from the vendor's own code and words.
//!
//! **Rule.** First whether the key is dead or its account empty, then the filter, then the length; but words that say
//! that the request is too long count before a key's (Kimi answers 401 to a prompt beyond the plan's window). Codes count
//! whole, in the vendor's own form; words as parts of the message alone, never of anything that may quote the request.
//! **Source.** `tests/vendor_words.tsv`: 238 errors as vendors send them, each with where it was seen. A test holds this
//! module against all of them, the false friends among them (limits of the output, of a minute, of bytes).

mod words;

use crate::error_form::UpstreamError;
use words::{CODES, NOT_TOO_LONG, SIGNS};

/// What an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The provider does not take the key any more.
    DeadKey,
    /// Nothing is left on the key's account.
    NoCredit,
    /// A content filter stopped the request or the answer.
    Filtered,
    /// The request is longer than the model takes.
    TooLong,
}

/// What the error is about, where its words tell.
pub(crate) fn meaning(error: &UpstreamError) -> Option<Meaning> {
    let codes = error.codes();
    let message = error.message().to_lowercase();
    let says = |wanted: Meaning| {
        let by_code = CODES
            .iter()
            .any(|(meaning, code)| *meaning == wanted && codes.iter().any(|own| own == code));
        by_code || is_in(wanted, &message)
    };
    let is_too_long = is_in(Meaning::TooLong, &message);
    if says(Meaning::DeadKey) && !is_too_long {
        return Some(Meaning::DeadKey);
    }
    if says(Meaning::NoCredit) {
        return Some(Meaning::NoCredit);
    }
    if says(Meaning::Filtered) {
        return Some(Meaning::Filtered);
    }
    let is_something_else = NOT_TOO_LONG.iter().any(|sign| fits(sign, &message))
        || codes.iter().any(|code| code == "rate_limit_exceeded");
    (says(Meaning::TooLong) && !is_something_else).then_some(Meaning::TooLong)
}

fn is_in(wanted: Meaning, message: &str) -> bool {
    SIGNS
        .iter()
        .filter(|(meaning, _)| *meaning == wanted)
        .flat_map(|(_, signs)| signs.iter())
        .any(|sign| fits(sign, message))
}

/// Whether the parts of a sign, which `*` divides, stand in the message one after the other; after `^` at its beginning,
/// after `=` alone.
fn fits(sign: &str, message: &str) -> bool {
    if let Some(whole) = sign.strip_prefix('=') {
        return message.trim() == whole;
    }
    if let Some(beginning) = sign.strip_prefix('^') {
        return message.starts_with(beginning);
    }
    let mut rest = message;
    sign.split('*').all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Errors as vendors send them, and what each is about.
    const TABLE: &str = include_str!("../tests/vendor_words.tsv");

    /// What is told by no words: an empty body, or the end of an answer.
    const WORDLESS: [&str; 6] = [
        "Cerebras, no body",
        "Azure OpenAI, output",
        "Gemini native, prompt (200)",
        "Zhipu, output (200)",
        "Bedrock guardrail (200)",
        "Cohere (old, 200)",
    ];

    #[test]
    fn vendors_are_understood_and_false_friends_told_apart() {
        let mut wrong = Vec::new();
        let mut counts = std::collections::BTreeMap::new();
        for line in TABLE.lines().skip(1) {
            let [vendor, _, class, body, source] = *line.split('\t').collect::<Vec<_>>() else {
                panic!("five columns: {line}");
            };
            assert!(!source.is_empty(), "{line}");
            if WORDLESS.contains(&vendor) {
                continue;
            }
            let expected = match class {
                "context_length" => Some(Meaning::TooLong),
                "content_filter" => Some(Meaning::Filtered),
                "dead_key" => Some(Meaning::DeadKey),
                "no_money" => Some(Meaning::NoCredit),
                "rate_limit" | "other" => None,
                other => panic!("no class: {other}"),
            };
            *counts.entry(class).or_insert(0) += 1;
            let read = UpstreamError::read(body.as_bytes());
            let found = read.as_ref().and_then(meaning);
            if found != expected {
                wrong.push(format!("{vendor}: {expected:?}, not {found:?}: {body}"));
            }
        }
        assert!(
            wrong.is_empty(),
            "{} wrong:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
        assert!(
            counts["context_length"] > 100 && counts["content_filter"] > 30,
            "{counts:?}"
        );
    }

    #[test]
    fn the_parts_of_a_sign_stand_in_order() {
        assert!(fits(
            "supports only*context",
            "k3 supports only 256k context."
        ));
        assert!(!fits(
            "supports only*context",
            "the context supports only 5"
        ));
    }
}
