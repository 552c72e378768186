//! Which probes a provider is sent, and what they find.

use std::time::Duration;

use super::{Pool, State};
use crate::{Pick, ProbeKind, Probed, Transition};

impl Pool {
    /// Whom a probe should ask now, and why: a key whose time has come, or an endpoint where a consumer's calls fail.
    pub fn begin_probe(&self, now: Duration, unix_seconds: u64) -> Option<(Pick, ProbeKind)> {
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
            .find_map(|(place, key)| Some((place, key.begin_probe(now)?)));
        if let Some((key, kind)) = of_key {
            let allows = |place: &usize| {
                let endpoint = endpoints.get(*place);
                endpoint.is_some_and(|endpoint| endpoint.allows_probe(now))
            };
            let endpoint = std::iter::once(*last_answered)
                .chain(0..endpoints.len())
                .find(allows)
                .unwrap_or_default();
            let pick = Pick {
                endpoint,
                credential: Some(key),
            };
            return Some((pick, kind));
        }
        let endpoint = endpoints
            .iter_mut()
            .position(|endpoint| endpoint.begin_probe(now))?;
        // Whether the key is taken is of no matter here, but without one the provider may not say more than 401.
        let mut known = self.keys.iter().zip(keys.iter());
        let key = known.position(|(key, state)| key.is_valid(unix_seconds) && !state.is_out(now));
        let pick = Pick {
            endpoint,
            credential: key,
        };
        Some((pick, ProbeKind::Endpoint))
    }

    /// Takes over what a probe found. What other instances should know comes back.
    pub fn probed(
        &self,
        now: Duration,
        pick: Pick,
        kind: ProbeKind,
        found: Probed,
    ) -> Vec<Transition> {
        let Ok(mut state) = self.state.lock() else {
            return Vec::new();
        };
        match kind {
            ProbeKind::Endpoint => {
                let Some(endpoint) = state.endpoints.get_mut(pick.endpoint) else {
                    return Vec::new();
                };
                let change = endpoint.probed(now, found != Probed::Failed);
                self.of_endpoint(pick, endpoint.open_for(), change)
            }
            ProbeKind::Suspect | ProbeKind::Out => {
                let key = pick.credential.and_then(|place| state.keys.get_mut(place));
                let changes = key.map(|key| key.probed(now, found));
                self.of_key(pick, changes.unwrap_or_default())
            }
        }
    }
}
