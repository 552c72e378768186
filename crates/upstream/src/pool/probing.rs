//! Which probes a provider is sent, and what they find.

use std::time::Duration;

use super::{Pool, State, Way};
use crate::{ProbeKind, Probed, Transition};

impl Pool {
    /// Whom a probe should ask now, and why: a key whose time has come, or an endpoint where a consumer's calls fail.
    pub fn take_probe(&self, now: Duration, unix_seconds: u64) -> Option<(Way, ProbeKind)> {
        let mut state = self.state.lock().ok()?;
        let State {
            endpoints,
            keys,
            last_answered,
            ..
        } = &mut *state;
        let of_key = keys
            .iter_mut()
            .enumerate()
            .find_map(|(place, key)| Some((place, key.take_probe(now)?)));
        if let Some((key, kind)) = of_key {
            let allows = |place: &usize| {
                let endpoint = endpoints.get(*place);
                endpoint.is_some_and(|endpoint| endpoint.allows_probe(now))
            };
            let endpoint = std::iter::once(*last_answered)
                .chain(0..endpoints.len())
                .find(allows)
                .unwrap_or_default();
            let way = Way {
                endpoint,
                key: Some(key),
            };
            return Some((way, kind));
        }
        let endpoint = endpoints
            .iter_mut()
            .position(|endpoint| endpoint.take_probe(now))?;
        // Whether the key is taken is of no matter here, but without one the provider may not say more than 401.
        let mut known = self.keys.iter().zip(keys.iter());
        let key = known.position(|(key, state)| key.is_valid(unix_seconds) && !state.is_out(now));
        Some((Way { endpoint, key }, ProbeKind::Endpoint))
    }

    /// Takes over what a probe found. What other instances should know comes back.
    pub fn probed(
        &self,
        now: Duration,
        way: Way,
        kind: ProbeKind,
        found: Probed,
    ) -> Vec<Transition> {
        let Ok(mut state) = self.state.lock() else {
            return Vec::new();
        };
        match kind {
            ProbeKind::Endpoint => {
                let Some(endpoint) = state.endpoints.get_mut(way.endpoint) else {
                    return Vec::new();
                };
                let change = endpoint.probed(now, found != Probed::Failed);
                self.of_endpoint(way, endpoint.open_for(), change)
            }
            ProbeKind::Suspect | ProbeKind::Out => {
                let key = way.key.and_then(|place| state.keys.get_mut(place));
                let changes = key.map(|key| key.probed(now, found));
                self.of_key(way, changes.unwrap_or_default())
            }
        }
    }
}
