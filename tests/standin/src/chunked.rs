//! The chunked transfer coding (RFC 9112, section 7.1), read piece by piece.

use bytes::{Buf, Bytes, BytesMut};

use crate::StandinError;

/// A piece of a chunked body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChunkedPiece {
    /// Bytes of the present chunk.
    Data(Bytes),
    /// The terminating chunk, with the trailers after it.
    End(Vec<(String, String)>),
}

/// Reads a chunked body from a buffer that fills as bytes arrive.
#[derive(Debug, Default)]
pub struct ChunkedDecoder(State);

#[derive(Debug, Default)]
enum State {
    #[default]
    Size,
    Data(usize),
    DataEnd,
    Trailers(Vec<(String, String)>),
    Ended,
}

impl ChunkedDecoder {
    /// Takes the next piece out of `input`; `None` when more bytes are needed, and after the end.
    ///
    /// # Errors
    /// When the bytes are no chunked coding.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<ChunkedPiece>, StandinError> {
        loop {
            match &mut self.0 {
                State::Size => {
                    let Some(line) = take_line(input) else {
                        return Ok(None);
                    };
                    let digits = line.split(';').next().unwrap_or_default().trim();
                    let size = usize::from_str_radix(digits, 16)
                        .map_err(|_| StandinError::NotHttp(format!("chunk size {line:?}")))?;
                    self.0 = match size {
                        0 => State::Trailers(Vec::new()),
                        size => State::Data(size),
                    };
                }
                State::Data(0) => self.0 = State::DataEnd,
                State::Data(left) => {
                    let size = input.len().min(*left);
                    if size == 0 {
                        return Ok(None);
                    }
                    *left = left.saturating_sub(size);
                    return Ok(Some(ChunkedPiece::Data(input.split_to(size).freeze())));
                }
                State::DataEnd => match take_line(input) {
                    None => return Ok(None),
                    Some(line) if line.is_empty() => self.0 = State::Size,
                    Some(line) => {
                        return Err(StandinError::NotHttp(format!("{line:?} after a chunk")));
                    }
                },
                State::Trailers(trailers) => {
                    let Some(line) = take_line(input) else {
                        return Ok(None);
                    };
                    if let Some((name, value)) = line.split_once(':') {
                        trailers.push((name.to_owned(), value.trim().to_owned()));
                        continue;
                    }
                    let trailers = std::mem::take(trailers);
                    self.0 = State::Ended;
                    return Ok(Some(ChunkedPiece::End(trailers)));
                }
                State::Ended => return Ok(None),
            }
        }
    }
}

/// A whole line without its end, or nothing yet.
fn take_line(input: &mut BytesMut) -> Option<String> {
    let end = input.iter().position(|byte| *byte == b'\n')?;
    let line = input.split_to(end);
    input.advance(1);
    let text = String::from_utf8_lossy(&line);
    Some(text.strip_suffix('\r').unwrap_or(&text).to_owned())
}

/// One chunk: size line, bytes, line end. No bytes give nothing, as an empty chunk would end the body.
pub(crate) fn chunk(bytes: &[u8]) -> Vec<u8> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// The chunk that ends a body.
pub(crate) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The chunk that ends a body, with trailers.
pub(crate) fn last_chunk(trailers: &[(String, String)]) -> Vec<u8> {
    let mut text = "0\r\n".to_owned();
    for (name, value) in trailers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_same_body_however_it_is_cut() {
        let wire = b"5\r\nhello\r\n6;name=value\r\n world\r\n0\r\nX-Sum: 11\r\n\r\n";
        for cut in 0..wire.len() {
            let mut decoder = ChunkedDecoder::default();
            let mut input = BytesMut::new();
            let mut body = Vec::new();
            let mut end = None;
            for part in [&wire[..cut], &wire[cut..]] {
                input.extend_from_slice(part);
                while let Some(piece) = decoder.decode(&mut input).unwrap() {
                    match piece {
                        ChunkedPiece::Data(bytes) => body.extend_from_slice(&bytes),
                        ChunkedPiece::End(trailers) => end = Some(trailers),
                    }
                }
            }
            assert_eq!(body, b"hello world", "cut at {cut}");
            assert_eq!(end, Some(vec![("X-Sum".to_owned(), "11".to_owned())]));
        }
    }

    #[test]
    fn refuses_what_is_no_chunk() {
        for wire in ["zz\r\n", "1\r\nab\r\n"] {
            let mut decoder = ChunkedDecoder::default();
            let mut input = BytesMut::from(wire);
            let outcome =
                std::iter::from_fn(|| decoder.decode(&mut input).transpose()).find_map(Result::err);
            assert!(outcome.is_some(), "{wire:?}");
        }
    }
}
