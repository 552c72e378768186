//! Reads and writes `text/event-stream`, in any chunking, with bounded memory.
//! Must not know what the events mean, nor where the bytes come from or go to.
//!
//! Format: WHATWG HTML, "Server-sent events", section "Parsing an event stream".

mod reader;
mod writer;

pub use reader::{Error, Event, Reader};
pub use writer::{write_comment, write_event};
