//! The shape of an event stream: every way in which services are known to write one, and to break one off.

use std::{collections::BTreeMap, time::Duration};

use crate::{Gate, Wait};

mod writing;

/// The data that ends a stream of OpenAI's API.
pub(crate) const DONE: &str = "[DONE]";

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// The `event:` line.
    pub name: Option<String>,
    /// The `data:` line.
    pub data: Option<String>,
}

impl Event {
    /// An event of data alone.
    pub fn data(data: impl Into<String>) -> Self {
        Self {
            name: None,
            data: Some(data.into()),
        }
    }

    /// An event of a name alone.
    pub fn named(name: &str) -> Self {
        Self {
            name: Some(name.to_owned()),
            data: None,
        }
    }
}

/// What ends a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LineEnd {
    /// LF.
    #[default]
    Lf,
    /// CR LF.
    CrLf,
    /// CR alone, which the standard allows as well.
    Cr,
}

/// How the bytes of a stream are divided into writes. Each write is a chunk of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cut {
    /// One write an event.
    #[default]
    Events,
    /// One write a byte.
    Bytes,
    /// Every write but the first begins in the middle of a character, where there is one of several bytes.
    Characters,
    /// Everything in one write.
    Whole,
    /// So many bytes a write, whatever they are.
    Lumps(usize),
}

/// How a stream breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// Clean, as if it were complete: the terminating chunk.
    Clean,
    /// The connection is closed (FIN) without the terminating chunk.
    Close,
    /// The connection is closed (FIN) in the middle of a chunk.
    InsideChunk,
    /// The connection is reset (RST).
    Reset,
}

/// Where a model's stream says how many tokens were used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UsagePlacement {
    /// As OpenAI does: if asked for, in a last chunk with `choices: []`.
    #[default]
    AsAsked,
    /// If asked for, in a last chunk that has no `choices` at all.
    WithoutChoices,
    /// Asked for or not, in the chunk with the finish reason.
    WithFinish,
    /// Never.
    Never,
}

/// The shape of an event stream.
#[derive(Debug, Clone, Default)]
pub struct EventStream {
    pub(crate) usage: UsagePlacement,
    pub(crate) long: Option<usize>,
    pub(crate) huge: Option<usize>,
    line_end: LineEnd,
    cut: Cut,
    comment_lines: bool,
    comment_blocks: bool,
    event_lines: bool,
    id_lines: bool,
    retry_lines: bool,
    retry_block: bool,
    no_space: bool,
    several_data_lines: bool,
    one_line_end: bool,
    extra_blank_lines: bool,
    byte_order_mark: bool,
    without_done: bool,
    until_close: bool,
    broken: Option<(usize, Break)>,
    error_after: Option<usize>,
    waits: BTreeMap<usize, Wait>,
    between: Option<Wait>,
}

macro_rules! wishes {
    ($($(#[$text:meta])* $name:ident,)*) => {
        impl EventStream {
            $(
                $(#[$text])*
                #[must_use]
                pub fn $name(mut self) -> Self {
                    self.$name = true;
                    self
                }
            )*
        }
    };
}

wishes! {
    /// A comment line within the block of each event.
    comment_lines,
    /// A block with a comment alone before each event.
    comment_blocks,
    /// An `event: message` line in each block.
    event_lines,
    /// An `id:` line in each block.
    id_lines,
    /// A `retry:` line in each block.
    retry_lines,
    /// A block with a `retry:` line alone at the start.
    retry_block,
    /// `data:{` rather than `data: {`.
    no_space,
    /// JSON over several `data:` lines.
    several_data_lines,
    /// One line end between events rather than a blank line.
    one_line_end,
    /// Several blank lines between events.
    extra_blank_lines,
    /// A byte order mark at the start.
    byte_order_mark,
    /// No `data: [DONE]`.
    without_done,
    /// Neither chunked nor a length: the close of the connection ends the body.
    until_close,
}

impl EventStream {
    /// As the real service writes it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends lines so.
    #[must_use]
    pub fn line_end(mut self, line_end: LineEnd) -> Self {
        self.line_end = line_end;
        self
    }

    /// Divides the bytes so.
    #[must_use]
    pub fn cut(mut self, cut: Cut) -> Self {
        self.cut = cut;
        self
    }

    /// Says the usage there.
    #[must_use]
    pub fn usage(mut self, usage: UsagePlacement) -> Self {
        self.usage = usage;
        self
    }

    /// A text of so many pieces, each an event.
    #[must_use]
    pub fn long(mut self, pieces: usize) -> Self {
        self.long = Some(pieces);
        self
    }

    /// One more piece of text, of so many bytes.
    #[must_use]
    pub fn huge(mut self, bytes: usize) -> Self {
        self.huge = Some(bytes);
        self
    }

    /// Breaks off after so many events.
    #[must_use]
    pub fn cut_after(mut self, events: usize, how: Break) -> Self {
        self.broken = Some((events, how));
        self
    }

    /// An event with the service's error after so many events, then the clean end, without `[DONE]`.
    #[must_use]
    pub fn error_after(mut self, events: usize) -> Self {
        self.error_after = Some(events);
        self
    }

    /// Waits before the event with this number, from 0. The head goes out first.
    #[must_use]
    pub fn wait_before(mut self, event: usize, wait: Wait) -> Self {
        self.waits.insert(event, wait);
        self
    }

    /// Waits so long before each event.
    #[must_use]
    pub fn gap(mut self, gap: Duration) -> Self {
        self.between = Some(Wait::For(gap));
        self
    }

    /// Waits before each event for the gate to be released once more.
    #[must_use]
    pub fn gated(mut self, gate: &Gate) -> Self {
        self.between = Some(Wait::Release(gate.clone()));
        self
    }
}
