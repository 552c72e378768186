//! What upstreams do wrong.

use std::time::Duration;

use fastrand::Rng;

use super::{choose, milliseconds};
use crate::plan::{Behaviour, Oddity};

const STATUSES: [u16; 18] = [
    400, 401, 402, 403, 404, 408, 409, 413, 422, 424, 425, 429, 429, 500, 502, 503, 504, 529,
];

/// One of them.
pub(super) fn behaviour(rng: &mut Rng) -> Behaviour {
    let share = rng.u16(0..1_000);
    match rng.u8(0..24) {
        0 => Behaviour::Slow(milliseconds(rng, 40_000)),
        1 => Behaviour::Pieces(rng.usize(1..40), milliseconds(rng, 400)),
        2 => Behaviour::Refused,
        3 => Behaviour::NoConnection,
        4 => Behaviour::Silent,
        5 => Behaviour::Reset,
        6..=8 => {
            let seconds = *choose(rng, &[None, None, Some(1), Some(30), Some(3_600)]);
            Behaviour::Status(*choose(rng, &STATUSES), seconds)
        }
        9 | 10 => Behaviour::CutAt(share),
        11 => Behaviour::EndAt(share),
        12 => Behaviour::StallAt(share),
        13 => Behaviour::GarbleAt(share),
        14 => Behaviour::WebPage,
        15 => Behaviour::Empty,
        16 => Behaviour::CodedError(*choose(rng, &STATUSES)),
        17 => Behaviour::ErrorEventAt(share),
        18 => Behaviour::NoTerminator,
        19 => Behaviour::OtherForm,
        20..=22 => Behaviour::Odd(*choose(rng, &Oddity::ALL)),
        _ => {
            if rng.bool() {
                Behaviour::MoreAfterTerminator
            } else {
                Behaviour::Slow(Duration::from_millis(rng.u64(0..500)))
            }
        }
    }
}
