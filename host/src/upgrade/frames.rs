//! Where one frame of a WebSocket ends and the next begins, so that one of the host's own can stand in between.

/// How far into a frame (RFC 6455 §5.2) the bytes seen so far have come.
#[derive(Debug, Default)]
pub struct Frames {
    /// The begun head: at most 14 bytes.
    head: Vec<u8>,
    /// What is left of the payload.
    payload: u64,
}

impl Frames {
    /// Takes in what goes by.
    pub fn advance(&mut self, mut bytes: &[u8]) {
        loop {
            let skipped = usize::try_from(self.payload)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            self.payload = self
                .payload
                .saturating_sub(u64::try_from(skipped).unwrap_or(u64::MAX));
            let Some((byte, rest)) = bytes.get(skipped..).and_then(<[u8]>::split_first) else {
                return;
            };
            bytes = rest;
            self.head.push(*byte);
            if let Some(payload) = payload_of(&self.head) {
                self.payload = payload;
                self.head.clear();
            }
        }
    }

    /// Whether all frames that have begun are complete.
    pub fn is_between(&self) -> bool {
        self.head.is_empty() && self.payload == 0
    }
}

/// The payload's length, once the head is complete.
fn payload_of(head: &[u8]) -> Option<u64> {
    let [_, second, rest @ ..] = head else {
        return None;
    };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let (length, extended) = match second & 0x7f {
        126 => {
            let (bytes, rest) = rest.split_first_chunk::<2>()?;
            (u64::from(u16::from_be_bytes(*bytes)), rest)
        }
        127 => {
            let (bytes, rest) = rest.split_first_chunk::<8>()?;
            (u64::from_be_bytes(*bytes), rest)
        }
        short => (u64::from(short), rest),
    };
    (extended.len() >= mask).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame with a payload of this many bytes.
    fn frame(length: usize, is_masked: bool) -> Vec<u8> {
        let mask = if is_masked { 0x80 } else { 0 };
        let mut frame = vec![0x82];
        match length {
            0..=125 => frame.push(mask | u8::try_from(length).unwrap()),
            126..=65535 => {
                frame.push(mask | 126);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend(u64::try_from(length).unwrap().to_be_bytes());
            }
        }
        if is_masked {
            frame.extend([0xff; 4]);
        }
        frame.extend(std::iter::repeat_n(0x7f, length));
        frame
    }

    #[test]
    fn the_end_of_a_frame_is_seen_however_it_comes() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 100_000] {
            for is_masked in [false, true] {
                let frame = frame(length, is_masked);
                for piece in [1, 2, 3, 7, 4096, usize::MAX] {
                    let mut frames = Frames::default();
                    let mut seen = 0;
                    for bytes in frame.chunks(piece.min(frame.len())) {
                        frames.advance(bytes);
                        seen += bytes.len();
                        assert_eq!(
                            frames.is_between(),
                            seen == frame.len(),
                            "{seen} of {} in pieces of {piece}",
                            frame.len()
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn several_frames_in_one_piece() {
        let mut frames = Frames::default();
        let mut bytes = [frame(3, false), frame(0, false), frame(300, false)].concat();
        frames.advance(&bytes);
        assert!(frames.is_between());
        bytes.truncate(bytes.len() - 1);
        frames.advance(&bytes);
        assert!(!frames.is_between());
        frames.advance(&[0]);
        assert!(frames.is_between());
    }

    #[test]
    fn a_length_beyond_all_bounds_is_one_that_never_ends() {
        let mut frames = Frames::default();
        frames.advance(&[
            0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2,
        ]);
        assert!(!frames.is_between());
    }
}
