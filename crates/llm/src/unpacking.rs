//! Answers that come packed although the gateway asks for `identity`: some providers, and proxies before them, pack
//! whatever they send. Client libraries unpack it without a word.
//!
//! gzip and deflate (RFC 9110, section 8.4.1; deflate with zlib's frame, RFC 1950) are unpacked piece by piece, a bounded
//! piece at a time. Others are named, and are failures.

use std::io::Write;

use bytes::{Buf, Bytes};
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use spillway_platform::{Headers, IncomingBody, SendError};

/// Packed bytes that are unpacked at once: a thousand times as much may come of them.
const STEP_BYTES: usize = 256;

/// A body, unpacked where it is packed.
#[derive(Debug)]
pub(crate) struct Unpacking<B> {
    body: B,
    packing: Packing,
    /// Packed, and still to be unpacked.
    rest: Bytes,
}

#[derive(Debug)]
enum Packing {
    None,
    Gzip(MultiGzDecoder<Vec<u8>>),
    Deflate(ZlibDecoder<Vec<u8>>),
    Unknown(String),
}

impl Packing {
    fn of(headers: &Headers) -> Self {
        let encoding = headers.text("content-encoding").unwrap_or_default();
        match encoding.trim().to_ascii_lowercase().as_str() {
            // Names of characters and of nothing: client libraries pass over what packs nothing.
            "" | "identity" | "none" | "utf-8" | "utf8" => Self::None,
            "gzip" | "x-gzip" => Self::Gzip(MultiGzDecoder::new(Vec::new())),
            "deflate" => Self::Deflate(ZlibDecoder::new(Vec::new())),
            _ => Self::Unknown(encoding.chars().take(40).collect()),
        }
    }

    /// Takes a piece, and gives what comes of it.
    fn unpack(&mut self, packed: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Gzip(decoder) => {
                decoder.write_all(packed)?;
                // What has come is told at once, not with the next piece.
                decoder.flush()?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Self::Deflate(decoder) => {
                decoder.write_all(packed)?;
                // What has come is told at once, not with the next piece.
                decoder.flush()?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Self::None | Self::Unknown(_) => Ok(packed.to_vec()),
        }
    }

    /// What was still inside when the last piece had come.
    fn finish(&mut self) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Gzip(decoder) => {
                decoder.try_finish()?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Self::Deflate(decoder) => {
                decoder.try_finish()?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Self::None | Self::Unknown(_) => Ok(Vec::new()),
        }
    }
}

impl<B> Unpacking<B> {
    pub(crate) fn of(headers: &Headers, body: B) -> Self {
        Self {
            body,
            packing: Packing::of(headers),
            rest: Bytes::new(),
        }
    }
}

impl<B: IncomingBody> IncomingBody for Unpacking<B> {
    async fn may_be_buffered(&self) -> bool {
        self.body.may_be_buffered().await
    }

    async fn next(&mut self) -> Result<Option<Bytes>, SendError> {
        match &self.packing {
            Packing::None => return self.body.next().await,
            Packing::Unknown(name) => {
                return Err(SendError::Other(format!(
                    "the answer is packed as `{name}`, though `identity` was asked for"
                )));
            }
            Packing::Gzip(_) | Packing::Deflate(_) => {}
        }
        let broken = |_| SendError::Reset("the packed answer cannot be unpacked".to_owned());
        loop {
            while self.rest.has_remaining() {
                let step = self.rest.split_to(STEP_BYTES.min(self.rest.len()));
                let unpacked = self.packing.unpack(&step).map_err(broken)?;
                if !unpacked.is_empty() {
                    return Ok(Some(unpacked.into()));
                }
            }
            match self.body.next().await? {
                Some(piece) => self.rest = piece,
                None => {
                    let last = self.packing.finish().map_err(broken)?;
                    self.packing = Packing::None;
                    return Ok((!last.is_empty()).then(|| last.into()));
                }
            }
        }
    }
}

/// An error's text, unpacked as far as `limit`; of one that cannot be, what can be said instead.
pub fn unpacked_error(headers: &Headers, body: Bytes, limit: usize) -> Bytes {
    let mut packing = Packing::of(headers);
    match &packing {
        Packing::None => return body,
        Packing::Unknown(name) => return format!("an error packed as `{name}`").into(),
        Packing::Gzip(_) | Packing::Deflate(_) => {}
    }
    let mut text = Vec::new();
    for step in body.chunks(STEP_BYTES) {
        match packing.unpack(step) {
            Ok(more) if text.len() < limit => text.extend(more),
            _ => break,
        }
    }
    text.extend(packing.finish().unwrap_or_default());
    text.truncate(limit);
    text.into()
}
