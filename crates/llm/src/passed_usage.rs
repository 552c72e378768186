//! What an answer that is passed on unread tells of its tokens: a response, in one piece or as events.

use memchr::memmem;
use serde::Deserialize;
use spillway_tokens::{Hundredths, weigh};

use crate::Usage;

/// No `usage` is longer, nor a name before it.
const MAX_USAGE_BYTES: usize = 8 * 1024;

/// The member that tells.
const USAGE: &[u8] = b"\"usage\"";

/// The member that a piece of an answer's text stands in.
const DELTA: &[u8] = b"\"delta\"";

/// Looks for `usage` in an answer that goes by, however it is cut; the last one that tells of any counts.
#[derive(Debug, Default)]
pub struct PassedUsage {
    /// What may be the beginning of something.
    rest: Vec<u8>,
    usage: Option<Usage>,
    weight: Hundredths,
}

/// As the Responses API writes it.
#[derive(Deserialize)]
struct ResponseUsage {
    input_tokens: u64,
    output_tokens: u64,
}

impl PassedUsage {
    /// The next piece.
    pub fn push(&mut self, piece: &[u8]) {
        self.rest.extend_from_slice(piece);
        let bytes = std::mem::take(&mut self.rest);
        let mut from = 0_usize;
        while let Some(at) = next_member(bytes.get(from..).unwrap_or_default()) {
            let member = bytes.get(from.saturating_add(at)..).unwrap_or_default();
            let read = if member.starts_with(USAGE) {
                self.read_usage(member)
            } else {
                self.read_delta(member)
            };
            let Some(length) = read else {
                // Not all of it is here yet.
                from = from.saturating_add(at);
                self.rest = bytes.get(from..).unwrap_or_default().to_vec();
                if self.rest.len() > MAX_USAGE_BYTES {
                    self.rest.clear();
                }
                return;
            };
            from = from.saturating_add(at).saturating_add(length);
        }
        let kept = bytes.len().saturating_sub(USAGE.len()).max(from);
        self.rest = bytes.get(kept..).unwrap_or_default().to_vec();
    }

    /// What was told.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// How many tokens the pieces of text that came seem to be.
    pub fn estimated_output(&self) -> u64 {
        self.weight.div_ceil(100)
    }

    /// How long the member is, if all of it is there.
    fn read_usage(&mut self, member: &[u8]) -> Option<usize> {
        let Some(begin) = value_at(member, USAGE.len())? else {
            return Some(USAGE.len());
        };
        if member.get(begin) != Some(&b'{') {
            return Some(USAGE.len());
        }
        let mut values = serde_json::Deserializer::from_slice(member.get(begin..)?).into_iter();
        match values.next() {
            Some(Ok(ResponseUsage {
                input_tokens,
                output_tokens,
            })) => {
                self.usage = Some(Usage {
                    input: input_tokens,
                    output: output_tokens,
                });
            }
            Some(Err(error)) if error.is_eof() => return None,
            _ => {}
        }
        Some(USAGE.len())
    }

    fn read_delta(&mut self, member: &[u8]) -> Option<usize> {
        let Some(begin) = value_at(member, DELTA.len())? else {
            return Some(DELTA.len());
        };
        let Some(text) = member.get(begin..)?.strip_prefix(b"\"") else {
            return Some(DELTA.len());
        };
        let mut end = 0_usize;
        loop {
            end = end.saturating_add(memchr::memchr2(b'"', b'\\', text.get(end..)?)?);
            if text.get(end) == Some(&b'"') {
                break;
            }
            end = end.saturating_add(2);
        }
        self.weight = self.weight.saturating_add(weigh(text.get(..end)?));
        Some(begin.saturating_add(end))
    }
}

fn next_member(bytes: &[u8]) -> Option<usize> {
    let usage = memmem::find(bytes, USAGE);
    let delta = memmem::find(bytes, DELTA);
    match (usage, delta) {
        (Some(usage), Some(delta)) => Some(usage.min(delta)),
        (one, other) => one.or(other),
    }
}

/// Where the value of a member begins; `None`: not here yet; `Some(None)`: it is no member.
#[expect(clippy::option_option, reason = "not yet is not never")]
fn value_at(member: &[u8], key: usize) -> Option<Option<usize>> {
    let mut at = key;
    let mut has_colon = false;
    loop {
        match member.get(at)? {
            b' ' | b'\n' | b'\r' | b'\t' => {}
            b':' if !has_colon => has_colon = true,
            _ => return Some(has_colon.then_some(at)),
        }
        at = at.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &str = concat!(
        "event: response.created\ndata: {\"response\":{\"usage\":null}}\n\n",
        "event: response.output_text.delta\ndata: {\"type\":\"x\",\"delta\":\"one two\"}\n\n",
        "event: response.output_text.delta\ndata: {\"delta\" : \" say \\\"usage\\\":{\"}\n\n",
        "event: response.completed\ndata: {\"response\":{\"usage\": {\"input_tokens\":7,\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":5,\"total_tokens\":12}}}\n\n",
    );

    proptest! {
        #[test]
        fn usage_is_found_however_an_answer_is_cut(cuts in prop::collection::vec(0..STREAM.len(), 0..9)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut passed = PassedUsage::default();
            let mut from = 0;
            for cut in cuts.into_iter().chain([STREAM.len()]) {
                passed.push(&STREAM.as_bytes()[from..cut]);
                from = cut;
            }
            prop_assert_eq!(passed.usage(), Some(Usage { input: 7, output: 5 }));
            prop_assert!((4..=12).contains(&passed.estimated_output()), "{}", passed.estimated_output());
        }

        #[test]
        fn anything_may_go_by(pieces in prop::collection::vec("[\"usagedelt:{}\\\\ 0-9]{0,40}", 0..9)) {
            let mut passed = PassedUsage::default();
            pieces.iter().for_each(|piece| passed.push(piece.as_bytes()));
        }
    }
}
