//! What an answer that is passed on unread tells of its tokens: a response, in one piece or as events.
//!
//! Read are the members `usage` of the response itself alone: what else has that name (a tool of the client's, which the
//! response repeats) is the client's word.

use std::borrow::Cow;

use memchr::memmem;
use serde::Deserialize;
use spillway_sse::Reader;
use spillway_tokens::{Hundredths, weigh_text};

use crate::Usage;
use crate::usage::count;

/// A larger answer in one piece, or event, is not read.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Reads an answer that goes by, however it is cut.
#[derive(Debug, Default)]
pub struct PassedUsage {
    body: Body,
    usage: Option<Usage>,
    weight: Hundredths,
}

#[derive(Debug, Default)]
enum Body {
    /// Nothing has come but white space.
    #[default]
    Unknown,
    Events(Box<Reader>),
    Document(Vec<u8>),
    /// Too large, or neither.
    Unread,
}

/// A response, or an event of one.
#[derive(Debug, Deserialize)]
struct Document<'d> {
    #[serde(default)]
    usage: Option<ResponseUsage>,
    #[serde(default)]
    response: Option<Response>,
    #[serde(borrow, default)]
    delta: Option<Cow<'d, str>>,
}

#[derive(Debug, Deserialize)]
struct Response {
    #[serde(default)]
    usage: Option<ResponseUsage>,
}

/// As the Responses API writes it.
#[derive(Debug, Clone, Copy, Deserialize)]
struct ResponseUsage {
    #[serde(default, deserialize_with = "count")]
    input_tokens: u64,
    #[serde(default, deserialize_with = "count")]
    output_tokens: u64,
}

impl PassedUsage {
    /// The next piece.
    pub fn push(&mut self, piece: &[u8]) {
        if matches!(self.body, Body::Unknown) {
            self.body = match piece.trim_ascii_start().first() {
                None => return,
                Some(b'{') => Body::Document(Vec::new()),
                Some(_) => Body::Events(Box::new(Reader::with_limit(MAX_BYTES))),
            };
        }
        match &mut self.body {
            Body::Document(document) => {
                if document.len().saturating_add(piece.len()) > MAX_BYTES {
                    self.body = Body::Unread;
                } else {
                    document.extend_from_slice(piece);
                }
            }
            Body::Events(reader) => {
                let mut said = Vec::new();
                let fits = reader.push(piece).is_ok();
                while let Some(event) = reader.next_event() {
                    said.push(event.data);
                }
                if !fits {
                    self.body = Body::Unread;
                }
                said.iter().for_each(|data| self.read(data));
            }
            Body::Unknown | Body::Unread => {}
        }
    }

    /// Says that the answer has ended, or broke off.
    pub fn finish(&mut self) {
        if let Body::Document(document) = std::mem::take(&mut self.body) {
            self.read(&document);
        }
    }

    /// What was told.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// How many tokens the pieces of text that came seem to be.
    pub fn estimated_output(&self) -> u64 {
        self.weight.div_ceil(100)
    }

    fn read(&mut self, data: &[u8]) {
        let has = |name: &[u8]| memmem::find(data, name).is_some();
        if !has(b"\"usage\"") && !has(b"\"delta\"") {
            return;
        }
        let Ok(said) = serde_json::from_slice::<Document<'_>>(data) else {
            return;
        };
        if let Some(delta) = said.delta {
            self.weight = self.weight.saturating_add(weigh_text(&delta));
        }
        let within = said.response.and_then(|response| response.usage);
        if let Some(usage) = said.usage.or(within) {
            self.usage = Some(Usage {
                input: usage.input_tokens,
                output: usage.output_tokens,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &str = concat!(
        "event: response.created\ndata: {\"response\":{\"usage\":null,\"tools\":[{\"parameters\":{\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}]}}\n\n",
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
            passed.finish();
            prop_assert_eq!(passed.usage(), Some(Usage { input: 7, output: 5 }));
            prop_assert!((4..=12).contains(&passed.estimated_output()), "{}", passed.estimated_output());
        }

        #[test]
        fn anything_may_go_by(pieces in prop::collection::vec("[\"usagedelt:{}\\\\ 0-9\n]{0,40}", 0..9)) {
            let mut passed = PassedUsage::default();
            pieces.iter().for_each(|piece| passed.push(piece.as_bytes()));
            passed.finish();
        }
    }

    #[test]
    fn what_a_client_has_written_is_no_usage() {
        let usage = |text: &str| {
            let mut passed = PassedUsage::default();
            passed.push(text.as_bytes());
            passed.finish();
            passed.usage()
        };
        let tool = r#""tools":[{"parameters":{"usage":{"input_tokens":1,"output_tokens":1}}}]"#;
        assert_eq!(usage(&format!("{{{tool}}}")), None);
        assert_eq!(
            usage(&format!(
                r#"{{{tool},"usage":{{"input_tokens":9,"output_tokens":2}}}}"#
            )),
            Some(Usage {
                input: 9,
                output: 2
            })
        );
        // More than any call can have used.
        assert_eq!(
            usage(r#"{"usage":{"input_tokens":1000000000000,"output_tokens":2.0}}"#),
            Some(Usage {
                input: 0,
                output: 2
            })
        );
    }
}
