//! How a stand-in answers one request.

use std::time::Duration;

use bytes::Bytes;

use crate::{Break, EventStream, Gate, Reply, Wait};

/// How a stand-in answers one request. (To refuse connections, [`crate::Standin::kill`] it.)
#[derive(Debug, Clone, Default)]
pub enum Behaviour {
    /// As the real service does.
    #[default]
    Normal,
    /// Takes the request and never answers; the connection stays open.
    Silent,
    /// Resets the connection (RST) before a byte of the answer.
    Reset,
    /// Closes the connection (FIN) before a byte of the answer.
    Close,
    /// Bytes that are no HTTP, then a close.
    Garbage,
    /// The service's own error form with this status.
    Error(u16),
    /// This answer.
    Reply(Reply),
    /// As the real service does, its event stream in this shape; an answer that is no stream stays as it is.
    Stream(EventStream),
    /// Answers a request for a stream as if none had been asked for.
    Unstreamed,
    /// These steps and nothing else.
    Raw(Vec<Step>),
    /// Waits, then behaves so.
    After(Wait, Box<Self>),
}

impl Behaviour {
    /// 200 with a body that is no JSON.
    pub fn not_json() -> Self {
        Self::Reply(Reply::html(200, "<html><body>It works!</body></html>"))
    }

    /// 200 with `Content-Length: 0`.
    pub fn empty() -> Self {
        Self::Reply(Reply::new(200).header("Content-Type", "application/json"))
    }

    /// The head of an event stream, then a reset.
    pub fn reset_after_head() -> Self {
        Self::reset_after_events(0)
    }

    /// So many events, then a reset.
    pub fn reset_after_events(events: usize) -> Self {
        Self::Stream(EventStream::new().cut_after(events, Break::Reset))
    }

    /// Waits for the gate, then behaves so.
    pub fn held(gate: &Gate, then: Self) -> Self {
        Self::After(Wait::Release(gate.clone()), Box::new(then))
    }

    /// Waits so long, then behaves so.
    pub fn late(delay: Duration, then: Self) -> Self {
        Self::After(Wait::For(delay), Box::new(then))
    }
}

/// One step of a scripted answer. After the last one the connection stays open for the next request, unless it
/// was closed or reset.
#[derive(Debug, Clone)]
pub enum Step {
    /// Writes these bytes at once, as a write (and, on an idle loopback, a segment) of their own.
    Write(Bytes),
    /// Sleeps, or waits for the test.
    Wait(Wait),
    /// Does nothing more until the peer leaves.
    Hold,
    /// Closes the connection (FIN).
    Close,
    /// Resets the connection (RST).
    Reset,
}

impl Step {
    /// Writes this text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Write(text.into().into())
    }

    /// Waits for the test to release the gate.
    pub fn release(gate: &Gate) -> Self {
        Self::Wait(Wait::Release(gate.clone()))
    }
}
