//! Broken input out of good.

use fastrand::Rng;

const PIECES: [&str; 22] = [
    "\n", "\r", "\r\n", "\n\n", ":", ": ", "data: ", "[DONE]", "\"", "\\", "{", "}", "[", "]",
    "null", "1e999", "\u{feff}", "%2e", "..", "{{ x }}", "\u{0}", "- ",
];

/// One of the samples, broken in up to eight places.
pub fn broken(samples: &[&str], random: &mut Rng) -> Vec<u8> {
    let mut bytes = random
        .choice(samples)
        .map(|sample| sample.as_bytes().to_vec())
        .unwrap_or_default();
    for _ in 0..random.usize(0..=8) {
        let at = random.usize(0..=bytes.len());
        let end = at.saturating_add(random.usize(0..32)).min(bytes.len());
        match random.u8(0..7) {
            0 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random.u8(..);
                }
            }
            1 => drop(bytes.drain(at..end)),
            2 => {
                let piece: Vec<u8> = bytes.get(at..end).unwrap_or_default().to_vec();
                let count = random.usize(1..200);
                insert(&mut bytes, at, &piece.repeat(count));
            }
            3 => bytes.truncate(at),
            4 => {
                let other = random
                    .choice(samples)
                    .map(|sample| sample.as_bytes())
                    .unwrap_or_default();
                insert(&mut bytes, at, other);
            }
            _ => {
                let piece = random.choice(PIECES).unwrap_or_default();
                insert(&mut bytes, at, piece.as_bytes());
            }
        }
    }
    bytes
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    let tail = bytes.split_off(at.min(bytes.len()));
    bytes.extend_from_slice(piece);
    bytes.extend(tail);
}
