//! Where limits stand, without charging anything.

use spillway_platform::{Charge, Charged};

use super::MemoryStore;

impl MemoryStore {
    /// What [`LIMIT_READ_V1`](crate::LIMIT_READ_V1) does.
    pub fn standings(&self, now_ms: u64, charges: &[Charge]) -> Vec<Charged> {
        let standings = charges.iter().map(|charge| {
            let Some(window_ms) = charge.window_ms() else {
                let used = self.in_flight(now_ms, &charge.key);
                return Charged {
                    used,
                    remaining: charge.limit.saturating_sub(used),
                    ..Charged::default()
                };
            };
            let reserved = self.reserved.get(&charge.key).into_iter().flatten();
            let reserved = reserved.filter(|(_, (_, until))| *until > now_ms);
            let reserved = if charge.is_reserved() {
                reserved.map(|(_, (amount, _))| *amount).sum()
            } else {
                0
            };
            let windows = self.read(now_ms, charge, window_ms);
            windows.standing(now_ms, charge, reserved)
        });
        standings.collect()
    }
}
