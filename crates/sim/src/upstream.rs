//! What upstreams do: the right answer in each one's own form, and what goes wrong with it.

use std::time::Duration;

use bytes::Bytes;
use spillway_platform::{Headers, SendError};
use spillway_platform_sim::PeerStep;

use crate::plan::Behaviour;

mod anthropic;
mod dify;
mod knowledge;
mod odd;
mod openai;
mod peer_kind;

pub use odd::script as odd_script;
pub use peer_kind::{PeerKind, asked_key, asked_mark};

/// Longer than anybody waits.
const FOR_EVER: Duration = Duration::from_secs(3_600);

/// How long a connection takes that never comes to stand.
const NO_CONNECTION: Duration = Duration::from_secs(10);

/// An answer goes out in no more pieces than this.
const MAX_PIECES: usize = 24;

/// An answer, and the errors that could stand in its place.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its media type.
    pub content_type: &'static str,
    /// Its body, in the pieces in which it is written.
    pub blocks: Vec<String>,
    /// What ends it, where it is a stream.
    pub terminator: Option<String>,
    /// An error in the midst of it, where it is a stream.
    pub error_event: Option<String>,
}

/// What an upstream has sent.
#[derive(Debug, Clone)]
pub struct PeerScript {
    /// Step by step.
    pub steps: Vec<PeerStep>,
    /// All of the body that it writes.
    pub body: Vec<u8>,
    /// Whether it ends that as it should.
    pub is_clean: bool,
}

/// An error as this service tells of it: its status, and the key that it was asked with, which some quote.
pub type Error = fn(u16, &str) -> String;

impl PeerScript {
    /// What comes of an answer.
    pub fn of(answer: &Answer, error: &dyn Fn(u16) -> String, behaviour: Behaviour) -> Self {
        let mut blocks = answer.blocks.clone();
        blocks.extend(answer.terminator.clone());
        let whole = blocks.concat().into_bytes();
        let at = |share: u16| share_of(whole.len(), share);
        let head = |has_length: bool| {
            head(
                200,
                answer.content_type,
                has_length.then_some(whole.len()),
                None,
            )
        };
        let is_stream = answer.terminator.is_some();
        match behaviour {
            // Elsewhere than where they show.
            Behaviour::Well | Behaviour::OtherForm | Behaviour::Odd(_) => {
                Self::begin(head(!is_stream)).pieces(blocks)
            }
            Behaviour::Slow(time) => Self::after(time, head(!is_stream)).pieces(blocks),
            Behaviour::Pieces(size, pause) => {
                let size = size.max(whole.len().div_ceil(MAX_PIECES)).max(1);
                whole
                    .chunks(size)
                    .fold(Self::begin(head(false)), |script, piece| {
                        script.piece(piece).wait(pause)
                    })
            }
            Behaviour::Refused => Self::fail(SendError::Connect("refused".to_owned())),
            Behaviour::NoConnection => Self::default()
                .wait(NO_CONNECTION)
                .broken(SendError::ConnectTimeout),
            Behaviour::Silent => Self::default()
                .wait(FOR_EVER)
                .broken(SendError::FirstByteTimeout),
            Behaviour::Reset => Self::fail(SendError::Reset("before the head".to_owned())),
            Behaviour::Status(status, retry_after) => {
                let body = error(status);
                Self::begin(self::head(
                    status,
                    "application/json",
                    Some(body.len()),
                    retry_after,
                ))
                .piece(body.as_bytes())
            }
            Behaviour::CutAt(share) => Self::begin(head(!is_stream))
                .in_pieces(whole.get(..at(share)).unwrap_or_default())
                .broken(SendError::Reset("within the body".to_owned())),
            Behaviour::EndAt(share) => {
                Self::begin(head(false)).in_pieces(whole.get(..at(share)).unwrap_or_default())
            }
            Behaviour::StallAt(share) => Self::begin(head(false))
                .in_pieces(whole.get(..at(share)).unwrap_or_default())
                .wait(FOR_EVER)
                .broken(SendError::BetweenBytesTimeout),
            Behaviour::GarbleAt(share) => Self::begin(head(false))
                .in_pieces(whole.get(..at(share)).unwrap_or_default())
                .piece(b"\xff}{ what is this\n\n")
                .piece(whole.get(at(share)..).unwrap_or_default()),
            Behaviour::WebPage => {
                Self::begin(self::head(200, "text/html", None, None)).piece(b"<html>hello</html>")
            }
            Behaviour::Empty => Self::begin(head(false)),
            Behaviour::CodedError(status) => Self::document(200, &error(status)),
            Behaviour::ErrorEventAt(share) => {
                let before = share_of(answer.blocks.len(), share);
                let mut blocks: Vec<String> = answer.blocks.iter().take(before).cloned().collect();
                blocks.extend(answer.error_event.clone());
                Self::begin(head(false)).pieces(blocks)
            }
            Behaviour::NoTerminator => Self::begin(head(false)).pieces(answer.blocks.clone()),
            Behaviour::MoreAfterTerminator => {
                blocks.extend(answer.blocks.last().cloned());
                Self::begin(head(false)).pieces(blocks)
            }
        }
    }

    /// Its head quotes something, as some do.
    pub fn quoting(mut self, text: &str) -> Self {
        for step in &mut self.steps {
            if let PeerStep::Head(_, headers) = step {
                headers.append("x-request-id", format!("asked with {text}"));
                headers.append("openai-version", format!("for {text}"));
            }
        }
        self
    }

    /// A document.
    fn document(status: u16, text: &str) -> Self {
        let head = head(status, "application/json", Some(text.len()), None);
        Self::begin(head).piece(text.as_bytes())
    }

    /// A stream of events.
    fn stream(blocks: Vec<String>) -> Self {
        Self::begin(head(200, "text/event-stream", None, None)).pieces(blocks)
    }

    fn begin(head: PeerStep) -> Self {
        Self {
            steps: vec![head],
            ..Self::default()
        }
    }

    fn after(time: Duration, head: PeerStep) -> Self {
        let mut script = Self::default().wait(time);
        script.steps.push(head);
        script
    }

    fn fail(error: SendError) -> Self {
        Self::default().broken(error)
    }

    fn wait(mut self, time: Duration) -> Self {
        self.steps.push(PeerStep::Wait(time));
        self
    }

    fn piece(mut self, bytes: &[u8]) -> Self {
        if !bytes.is_empty() {
            self.body.extend_from_slice(bytes);
            self.steps
                .push(PeerStep::Piece(Bytes::copy_from_slice(bytes)));
        }
        self
    }

    /// In a few pieces, which end anywhere.
    fn in_pieces(self, bytes: &[u8]) -> Self {
        let size = bytes.len().div_ceil(3).max(1);
        bytes.chunks(size).fold(self, Self::piece)
    }

    fn pieces(self, blocks: Vec<String>) -> Self {
        blocks
            .iter()
            .fold(self, |script, block| script.piece(block.as_bytes()))
    }

    fn broken(mut self, error: SendError) -> Self {
        self.steps.push(PeerStep::Fail(error));
        self.is_clean = false;
        self
    }
}

impl Default for PeerScript {
    fn default() -> Self {
        Self {
            steps: Vec::new(),
            body: Vec::new(),
            is_clean: true,
        }
    }
}

/// Of 1,000 parts; less than all.
fn share_of(whole: usize, share: u16) -> usize {
    let parts = whole.saturating_mul(usize::from(share));
    parts
        .checked_div(1_000)
        .unwrap_or_default()
        .min(whole.saturating_sub(1))
}

fn head(
    status: u16,
    content_type: &str,
    length: Option<usize>,
    retry_after: Option<u32>,
) -> PeerStep {
    let mut headers = Headers::default();
    headers.append("content-type", content_type);
    if let Some(length) = length {
        headers.append("content-length", length.to_string());
    }
    if let Some(seconds) = retry_after {
        headers.append("retry-after", seconds.to_string());
    }
    PeerStep::Head(status, headers)
}
