//! Events in their shape, as the steps of an answer.

use bytes::Bytes;

use super::{Break, Cut, DONE, Event, EventStream, LineEnd};
use crate::{
    Step,
    chunked::{LAST_CHUNK, chunk},
};

impl EventStream {
    /// The bytes of the body, whole, as they would be without breaking off.
    pub fn body(&self, events: &[Event]) -> Vec<u8> {
        let blocks = events
            .iter()
            .enumerate()
            .map(|(number, event)| self.block(number, event));
        blocks.collect::<Vec<_>>().concat()
    }

    /// The whole answer.
    pub(crate) fn steps(&self, events: Vec<Event>, error: &Event) -> Vec<Step> {
        let mut events = events;
        if self.without_done {
            events.retain(|event| event.data.as_deref() != Some(DONE));
        }
        if let Some(count) = self.error_after {
            events.truncate(count);
            events.push(error.clone());
        }
        let mut unsent = events.clone();
        if let Some((count, _)) = self.broken {
            events.truncate(count);
            unsent = unsent.split_off(events.len());
        }
        let mut steps = vec![Step::Write(self.head().into())];
        if self.cut == Cut::Whole {
            steps.push(Step::Write(self.framed(&self.body(&events))));
        } else {
            for (number, event) in events.iter().enumerate() {
                steps.extend(self.between.clone().map(Step::Wait));
                steps.extend(self.waits.get(&number).cloned().map(Step::Wait));
                steps.extend(self.writes(&self.block(number, event)));
            }
        }
        steps.extend(self.ending(events.len(), &unsent));
        steps
    }

    fn head(&self) -> String {
        let framing = if self.until_close {
            "Connection: close"
        } else {
            "Transfer-Encoding: chunked"
        };
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n{framing}\r\n\r\n"
        )
    }

    fn framed(&self, bytes: &[u8]) -> Bytes {
        if self.until_close {
            Bytes::copy_from_slice(bytes)
        } else {
            chunk(bytes).into()
        }
    }

    fn writes(&self, block: &[u8]) -> Vec<Step> {
        let pieces: Vec<&[u8]> = match self.cut {
            Cut::Events | Cut::Whole => vec![block],
            Cut::Bytes => block.chunks(1).collect(),
            Cut::Lumps(size) => block.chunks(size.max(1)).collect(),
            Cut::Characters => {
                // A new piece begins at every second or later byte of a character.
                let continues = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
                block.chunk_by(|_, byte| !continues(byte)).collect()
            }
        };
        pieces
            .into_iter()
            .map(|piece| Step::Write(self.framed(piece)))
            .collect()
    }

    fn ending(&self, sent: usize, unsent: &[Event]) -> Vec<Step> {
        match self.broken.map(|(_, how)| how) {
            Some(Break::Reset) => vec![Step::Reset],
            Some(Break::Close) => vec![Step::Close],
            Some(Break::InsideChunk) => {
                let next = unsent.first().cloned().unwrap_or_default();
                let mut bytes = self.framed(&self.block(sent, &next));
                bytes.truncate(bytes.len() / 2);
                vec![Step::Write(bytes), Step::Close]
            }
            Some(Break::Clean) | None if self.until_close => vec![Step::Close],
            Some(Break::Clean) | None => vec![Step::Write(Bytes::from_static(LAST_CHUNK))],
        }
    }

    /// An event with all that stands around it.
    fn block(&self, number: usize, event: &Event) -> Vec<u8> {
        let mut lines: Vec<String> = Vec::new();
        if number == 0 && self.retry_block {
            lines.extend(["retry: 3000".to_owned(), String::new()]);
        }
        if self.comment_blocks {
            lines.extend([": still here".to_owned(), String::new()]);
        }
        if self.comment_lines {
            lines.push(": beside the data".to_owned());
        }
        if self.id_lines {
            lines.push(format!("id: {number}"));
        }
        if self.retry_lines {
            lines.push("retry: 3000".to_owned());
        }
        match &event.name {
            Some(name) => lines.push(format!("event: {name}")),
            None if self.event_lines => lines.push("event: message".to_owned()),
            None => {}
        }
        if let Some(data) = &event.data {
            lines.extend(self.data_lines(data));
        }
        if !self.one_line_end {
            lines.push(String::new());
        }
        if self.extra_blank_lines {
            lines.extend([String::new(), String::new()]);
        }
        let line_end = match self.line_end {
            LineEnd::Lf => "\n",
            LineEnd::CrLf => "\r\n",
            LineEnd::Cr => "\r",
        };
        let mark = if number == 0 && self.byte_order_mark {
            "\u{feff}"
        } else {
            ""
        };
        let text: String = lines
            .iter()
            .flat_map(|line| [line.as_str(), line_end])
            .collect();
        format!("{mark}{text}").into_bytes()
    }

    fn data_lines(&self, data: &str) -> Vec<String> {
        let field = if self.no_space { "data:" } else { "data: " };
        let value = serde_json::from_str::<serde_json::Value>(data).ok();
        let spread = value.filter(|value| self.several_data_lines && value.is_object());
        let text = spread.map_or_else(|| data.to_owned(), |value| format!("{value:#}"));
        text.lines().map(|line| format!("{field}{line}")).collect()
    }
}
