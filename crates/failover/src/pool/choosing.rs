//! Which way is taken to a provider.

use std::time::Duration;

use super::{Pool, State, Tried, Way};
use crate::order::rendezvous_score;

impl Pool {
    /// A way of which nothing is set aside, in turn, without what was tried. The one who asks will go it.
    pub fn choose(
        &self,
        now: Duration,
        unix_seconds: u64,
        turn: u32,
        tried: &Tried,
    ) -> Option<Way> {
        let mut state = self.state.lock().ok()?;
        let key = self.choose_key(&state, now, unix_seconds, turn, tried)?;
        let allowed = |index: &usize| {
            !tried.endpoints.contains(index)
                && state
                    .endpoints
                    .get(*index)
                    .is_some_and(|breaker| breaker.allows(now))
        };
        let endpoint = in_turn(self.endpoints.len(), turn).find(allowed)?;
        if let Some(breaker) = state.endpoints.get_mut(endpoint) {
            breaker.enter(now);
        }
        Some(Way { endpoint, key })
    }

    /// A way although its endpoint is left alone: for a call that has no other. Its key is none that is set aside.
    pub fn choose_in_need(&self, now: Duration, unix_seconds: u64, turn: u32) -> Option<Way> {
        let state = self.state.lock().ok()?;
        let key = self.choose_key(&state, now, unix_seconds, turn, &Tried::default())?;
        let endpoint = in_turn(self.endpoints.len(), turn).next()?;
        Some(Way { endpoint, key })
    }

    /// A key that is out, for a call that would have no key else: the provider's own words say more than the
    /// gateway's.
    pub fn choose_key_that_is_out(
        &self,
        now: Duration,
        unix_seconds: u64,
        turn: u32,
    ) -> Option<Way> {
        let state = self.state.lock().ok()?;
        let is_out = |index: &usize| {
            let known = self.keys.get(*index).zip(state.keys.get(*index));
            known.is_some_and(|(key, state)| key.is_valid(unix_seconds) && state.is_out(now))
        };
        let key = in_turn(self.keys.len(), turn).find(is_out)?;
        let endpoint = in_turn(self.endpoints.len(), turn).next()?;
        Some(Way {
            endpoint,
            key: Some(key),
        })
    }

    /// Always the same way for the same `affinity`, as long as its key is one: for what a provider keeps by key.
    pub fn choose_by_affinity(
        &self,
        now: Duration,
        unix_seconds: u64,
        affinity: &str,
    ) -> Option<Way> {
        let state = self.state.lock().ok()?;
        let score = |name: &str| rendezvous_score(affinity, name);
        // One that is out comes last: the provider's own words say more than the gateway's.
        let key = self
            .keys
            .iter()
            .zip(&state.keys)
            .enumerate()
            .filter(|(_, (key, _))| key.is_valid(unix_seconds))
            .max_by_key(|(_, (key, state))| (!state.is_out(now), score(&key.digest)))
            .map(|(index, _)| index);
        if key.is_none() && !self.keys.is_empty() {
            return None;
        }
        let endpoints = self.endpoints.iter().enumerate();
        let endpoint = endpoints
            .max_by_key(|(_, (url, _))| score(url))
            .map(|(index, _)| index)?;
        Some(Way { endpoint, key })
    }

    /// How long until there is a key to use: nothing where there is one now, or none is needed. `None` where waiting
    /// brings none.
    pub fn key_in(&self, now: Duration, unix_seconds: u64) -> Option<Duration> {
        if self.keys.is_empty() {
            return Some(Duration::ZERO);
        }
        let state = self.state.lock().ok()?;
        self.keys
            .iter()
            .zip(&state.keys)
            .filter(|(key, _)| key.is_valid(unix_seconds))
            .filter_map(|(_, state)| {
                if state.is_usable(now) {
                    Some(Duration::ZERO)
                } else {
                    state.cools_for(now)
                }
            })
            .min()
    }

    /// Whether some endpoint will take calls then.
    pub fn has_endpoint_at(&self, then: Duration) -> bool {
        self.state
            .lock()
            .is_ok_and(|state| state.endpoints.iter().any(|breaker| breaker.allows(then)))
    }

    fn choose_key(
        &self,
        state: &State,
        now: Duration,
        unix_seconds: u64,
        turn: u32,
        tried: &Tried,
    ) -> Option<Option<usize>> {
        if self.keys.is_empty() {
            return Some(None);
        }
        let usable: Vec<(usize, u32)> = self
            .keys
            .iter()
            .zip(&state.keys)
            .enumerate()
            .filter(|(index, (key, state))| {
                !tried.keys.contains(index) && key.is_valid(unix_seconds) && state.is_usable(now)
            })
            .map(|(index, (key, _))| (index, key.weight))
            .collect();
        let total: u64 = usable.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let mut drawn = u64::from(turn).checked_rem(total).unwrap_or_default();
        for (index, weight) in &usable {
            if drawn < u64::from(*weight) {
                return Some(Some(*index));
            }
            drawn = drawn.saturating_sub(u64::from(*weight));
        }
        // All that are left have weight 0.
        usable.first().map(|(index, _)| Some(*index))
    }
}

/// All places, beginning with the one whose turn it is.
fn in_turn(count: usize, turn: u32) -> impl Iterator<Item = usize> {
    let first = usize::try_from(turn)
        .unwrap_or_default()
        .checked_rem(count)
        .unwrap_or_default();
    (first..count).chain(0..first)
}
