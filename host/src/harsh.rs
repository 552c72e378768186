//! `--harsh`, for tests: the least friendly host that the interfaces allow. What works here works on any host.
//!
//! What it does elsewhere, where `harsh` is asked: an upstream's hop-by-hop fields are shown to the component and
//! refused from it (`outbound`), Nagle's algorithm stays on (`server`, `outbound::connect`, `redis::connect`), and the
//! streams of a trapped instance end as if they were complete (`body`).

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

use crate::reuse::{ReuseLimits, Spread};

/// How coarse the clocks are.
const TICK: Duration = Duration::from_millis(10);

/// Sizes of the pieces that a body comes in; the larger ones so that 100 MiB do not take minutes.
const PIECES: [usize; 8] = [1, 2, 7, 61, 1_021, 4_099, 16_381, 65_537];

/// After so many commands a Redis connection is dropped: more than can be in flight at once, or Redis would seem gone.
const REDIS_COMMANDS: std::ops::Range<u32> = 17..50;

/// Instances are replaced after a few requests, and soon when they have nothing to do, unless flags say otherwise.
pub fn reuse_limits() -> ReuseLimits {
    ReuseLimits {
        requests: Spread::Between(1, 9),
        idle: Spread::Between(Duration::from_millis(1), Duration::from_millis(50)),
        ..ReuseLimits::default()
    }
}

/// How many commands a new Redis connection takes.
pub fn redis_commands() -> u32 {
    fastrand::u32(REDIS_COMMANDS)
}

/// Cuts a body's data into pieces of odd sizes.
#[derive(Debug, Default)]
pub struct Pieces {
    rest: Bytes,
}

impl Pieces {
    /// The first piece of `data`; the rest is kept. Only to be called when nothing is left.
    pub fn cut(&mut self, data: Bytes) -> Bytes {
        self.rest = data;
        self.next_piece().unwrap_or_default()
    }

    /// The next piece of what is left.
    pub fn next_piece(&mut self) -> Option<Bytes> {
        let size = fastrand::choice(PIECES).unwrap_or(1);
        (!self.rest.is_empty()).then(|| self.rest.split_to(size.min(self.rest.len())))
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.rest.len()
    }
}

/// Both of a component's clocks, in ticks of 10 ms.
#[derive(Debug, Clone, Copy)]
pub struct CoarseClock {
    began: Instant,
}

impl Default for CoarseClock {
    /// Begins to count now.
    fn default() -> Self {
        Self {
            began: Instant::now(),
        }
    }
}

fn in_ticks(time: Duration) -> Duration {
    let tick = TICK.as_nanos();
    let ticks = time.as_nanos().checked_div(tick).unwrap_or_default();
    TICK.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX))
}

impl HostMonotonicClock for CoarseClock {
    fn resolution(&self) -> u64 {
        u64::try_from(TICK.as_nanos()).unwrap_or(u64::MAX)
    }

    fn now(&self) -> u64 {
        u64::try_from(in_ticks(self.began.elapsed()).as_nanos()).unwrap_or(u64::MAX)
    }
}

impl HostWallClock for CoarseClock {
    fn resolution(&self) -> Duration {
        TICK
    }

    fn now(&self) -> Duration {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let within = in_ticks(Duration::from_nanos(now.subsec_nanos().into()));
        Duration::from_secs(now.as_secs()).saturating_add(within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_all_of_the_body_in_order() {
        let body: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut pieces = Pieces::default();
        let mut read = pieces.cut(Bytes::from(body.clone())).to_vec();
        assert_eq!(pieces.left() + read.len(), body.len());
        while let Some(piece) = pieces.next_piece() {
            assert!(!piece.is_empty());
            read.extend_from_slice(&piece);
        }
        assert_eq!(read, body);
        assert_eq!(pieces.left(), 0);
    }

    #[test]
    fn the_clock_ticks() {
        assert_eq!(in_ticks(Duration::from_millis(19)), TICK);
        assert_eq!(in_ticks(Duration::from_secs(7)), Duration::from_secs(7));
    }
}
