//! The chunks that nearly all of a stream consists of, on the shortest way.

use spillway_sse::write_event;

use super::{StreamPipeline, one_line};
use crate::plain::PlainChunk;

impl StreamPipeline {
    /// Passes on the plain chunks that a piece begins with, as they came and with one copy. Gives how many bytes they
    /// are, of most pieces all; and whether the event after them is known not to be one.
    pub(super) fn pass_plain(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut passed: usize = 0;
        let mut is_other = false;
        if self.reads_plain() {
            while let Some(data) = self.reader.plain(bytes.get(passed..).unwrap_or_default())
                && data.starts_with(b"{")
                && data.ends_with(b"}")
            {
                let Some(chunk) = self.decoder.plain(data) else {
                    is_other = true;
                    break;
                };
                self.note_plain(chunk);
                passed = passed.saturating_add(data.len()).saturating_add(8);
            }
        }
        self.out
            .extend_from_slice(bytes.get(..passed).unwrap_or_default());
        (passed, is_other)
    }

    /// Whether a plain chunk tells all that there is to know of it.
    pub(super) fn reads_plain(&self) -> bool {
        !self.wants_usage || self.identity.is_known()
    }

    /// As [`StreamPipeline::read_chunk`] does what says no more than this.
    pub(super) fn read_plain(&mut self, chunk: PlainChunk, data: &[u8]) {
        self.note_plain(chunk);
        write_event(&mut self.out, None, &one_line(data));
    }

    fn note_plain(&mut self, chunk: PlainChunk) {
        self.has_last_usage = false;
        self.has_content = true;
        self.has_answer |= chunk.answers;
        self.weight = self.weight.saturating_add(chunk.weight);
        self.ended_choices.remove(&chunk.index);
        self.open_choices.insert(chunk.index);
    }
}
