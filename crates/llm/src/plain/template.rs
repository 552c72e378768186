//! The chunk that differs from the one before it by its text alone.
//!
//! **Rule.** A provider writes a stream's chunks by one template. What begins and ends as the last plain chunk did before
//! and after its text, and has the inside of a JSON string between, with the simplest escapes at most, is that chunk with
//! another text. **Guarantee.** Reading it whole says the same. **Cost.** A comparison of the bytes; where providers
//! change something else with each chunk, a second comparison and a copy besides reading it whole.

use super::PlainChunk;
use spillway_tokens::weigh;

/// What stood around the text of a stream's last plain chunk.
#[derive(Debug, Default)]
pub(crate) struct ChunkTemplate {
    before: Vec<u8>,
    after: Vec<u8>,
    chunk: Option<PlainChunk>,
}

impl ChunkTemplate {
    /// `data` as a plain chunk, if it is one.
    pub(crate) fn read(&mut self, data: &[u8]) -> Option<PlainChunk> {
        if let Some(chunk) = self.chunk
            && let Some(text) = self.fitting(data)
        {
            let weight = weigh(text);
            return Some(PlainChunk { weight, ..chunk });
        }
        let (chunk, text) = PlainChunk::read(data)?;
        let around = text.and_then(|text| Some((data.get(..text.start)?, data.get(text.end..)?)));
        if let Some((before, after)) = around {
            self.before.clear();
            self.before.extend_from_slice(before);
            self.after.clear();
            self.after.extend_from_slice(after);
            self.chunk = Some(chunk);
        }
        Some(chunk)
    }

    /// The text of a chunk that is as the last one but for this.
    fn fitting<'d>(&self, data: &'d [u8]) -> Option<&'d [u8]> {
        data.strip_prefix(self.before.as_slice())
            .and_then(|rest| rest.strip_suffix(self.after.as_slice()))
            .filter(|text| !text.is_empty() && is_inside_of_string(text))
    }
}

/// Whether a JSON string may have it between its quotes (RFC 8259, section 7). Escapes by number are left to those who
/// read them: half a character is none.
fn is_inside_of_string(text: &[u8]) -> bool {
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        let is_allowed = match byte {
            b'"' | ..0x20 => false,
            b'\\' => matches!(
                bytes.next(),
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't')
            ),
            _ => true,
        };
        if !is_allowed {
            return false;
        }
    }
    std::str::from_utf8(text).is_ok()
}
