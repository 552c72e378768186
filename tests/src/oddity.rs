//! Every odd way of writing a stream that a client of the gateway must not see.

use spillway_standin::{Cut, EventStream, LineEnd, UsagePlacement};

/// An odd stream.
#[derive(Debug)]
pub struct Oddity {
    /// What is odd.
    pub name: &'static str,
    /// How to write it.
    pub shape: EventStream,
}

/// All of them. Each carries the same chunks.
pub fn oddities() -> Vec<Oddity> {
    let new = EventStream::new;
    let named = |(name, shape)| Oddity { name, shape };
    [
        ("nothing odd", new()),
        ("CRLF line ends", new().line_end(LineEnd::CrLf)),
        ("CR line ends", new().line_end(LineEnd::Cr)),
        (
            "CRLF, one write a byte",
            new().line_end(LineEnd::CrLf).cut(Cut::Bytes),
        ),
        ("an event line before data", new().event_lines()),
        ("an id line before data", new().id_lines()),
        ("a retry line before data", new().retry_lines()),
        ("a retry block first", new().retry_block()),
        ("a comment in the same block", new().comment_lines()),
        ("a comment in a block of its own", new().comment_blocks()),
        (
            "all fields, CRLF",
            new()
                .event_lines()
                .id_lines()
                .comment_lines()
                .line_end(LineEnd::CrLf),
        ),
        ("one line end between events", new().one_line_end()),
        (
            "several blank lines between events",
            new().extra_blank_lines(),
        ),
        ("no space after data:", new().no_space()),
        ("JSON over several data lines", new().several_data_lines()),
        ("a byte order mark", new().byte_order_mark()),
        ("no [DONE]", new().without_done()),
        (
            "no [DONE], CRLF",
            new().without_done().line_end(LineEnd::CrLf),
        ),
        ("ended by the connection's close", new().until_close()),
        (
            "ended by the connection's close, no [DONE]",
            new().until_close().without_done(),
        ),
        ("one write a byte", new().cut(Cut::Bytes)),
        ("characters cut in two", new().cut(Cut::Characters)),
        ("lumps of 7 bytes", new().cut(Cut::Lumps(7))),
        ("lumps of 1000 bytes", new().cut(Cut::Lumps(1000))),
        ("everything in one write", new().cut(Cut::Whole)),
        (
            "a usage chunk without choices",
            new().usage(UsagePlacement::WithoutChoices),
        ),
        (
            "usage in the chunk with the finish reason",
            new().usage(UsagePlacement::WithFinish),
        ),
        ("no usage at all", new().usage(UsagePlacement::Never)),
    ]
    .map(named)
    .into()
}
