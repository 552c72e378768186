//! Which way is taken to a provider.

use std::time::Duration;

use super::{Pool, State, Tried, Way};
use crate::key::KeyState;
use crate::order::rendezvous_score;

/// Which keys may be taken.
type Allows = fn(&KeyState, Duration) -> bool;

impl Pool {
    /// A way of which nothing is set aside, in turn, without what was tried. The one who asks will go it.
    pub fn choose(
        &self,
        now: Duration,
        unix_seconds: u64,
        turn: u32,
        tried: &Tried,
    ) -> Option<Way> {
        self.choose_where(KeyState::is_usable, now, unix_seconds, turn, tried)
    }

    /// As [`Pool::choose`], but its key may be suspect: for a call that has no other way.
    pub fn choose_suspect(
        &self,
        now: Duration,
        unix_seconds: u64,
        turn: u32,
        tried: &Tried,
    ) -> Option<Way> {
        self.choose_where(KeyState::may_serve, now, unix_seconds, turn, tried)
    }

    fn choose_where(
        &self,
        allows: Allows,
        now: Duration,
        unix_seconds: u64,
        turn: u32,
        tried: &Tried,
    ) -> Option<Way> {
        let mut state = self.state.lock().ok()?;
        let key = self.choose_key(&state, allows, now, unix_seconds, turn, tried)?;
        let takes = |index: &usize| {
            state
                .keyless
                .get(*index)
                .is_some_and(|keyless| allows(keyless, now))
        };
        let endpoint = self.choose_endpoint(&state, now, turn, tried, takes)?;
        if let Some(breaker) = state.endpoints.get_mut(endpoint) {
            breaker.enter(now);
        }
        Some(Way { endpoint, key })
    }

    /// A way by a key that cools, or without one to an endpoint that takes no more calls for now: its limit may be that
    /// of another model.
    pub fn choose_limited(&self, now: Duration, turn: u32, limited: Way) -> Option<Way> {
        let mut state = self.state.lock().ok()?;
        let takes = |index: &usize| limited.key.is_some() || *index == limited.endpoint;
        let endpoint = self.choose_endpoint(&state, now, turn, &Tried::default(), takes)?;
        if let Some(breaker) = state.endpoints.get_mut(endpoint) {
            breaker.enter(now);
        }
        Some(Way {
            endpoint,
            key: limited.key,
        })
    }

    /// A way although its endpoint is left alone: for a call that has no other. Its key is none that cools or is out.
    pub fn choose_in_need(&self, now: Duration, unix_seconds: u64, turn: u32) -> Option<Way> {
        let state = self.state.lock().ok()?;
        let choose = |allows: Allows| {
            self.choose_key(&state, allows, now, unix_seconds, turn, &Tried::default())
        };
        let key = choose(KeyState::is_usable).or_else(|| choose(KeyState::may_serve))?;
        let takes = |index: &usize| {
            let keyless = state.keyless.get(*index);
            keyless.is_some_and(|keyless| keyless.may_serve(now))
        };
        let endpoints = || in_turn(self.endpoints.len(), turn);
        let endpoint = endpoints().find(takes).or_else(|| endpoints().next())?;
        Some(Way { endpoint, key })
    }

    /// A way to an endpoint without a key that said it was busy: for a call that has no other. It does not wait, as it
    /// waits for a key: nobody knows when an engine's queue has room, and many calls that wait are many that come at
    /// once.
    pub fn choose_busy(&self, now: Duration, turn: u32) -> Option<Way> {
        if !self.keys.is_empty() {
            return None;
        }
        let mut state = self.state.lock().ok()?;
        let endpoint = self.choose_endpoint(&state, now, turn, &Tried::default(), |_| true)?;
        if let Some(breaker) = state.endpoints.get_mut(endpoint) {
            breaker.enter(now);
        }
        Some(Way {
            endpoint,
            key: None,
        })
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
    pub fn key_in(&self, now: Duration, unix_seconds: u64, tried: &Tried) -> Option<Duration> {
        if self.keys.is_empty() {
            return Some(Duration::ZERO);
        }
        let state = self.state.lock().ok()?;
        let rest = |known: &KeyState, was_tried: bool| {
            if known.is_usable(now) || (known.may_serve(now) && !was_tried) {
                Some(Duration::ZERO)
            } else {
                known.cools_for(now)
            }
        };
        self.keys
            .iter()
            .zip(&state.keys)
            .enumerate()
            .filter(|(_, (key, _))| key.is_valid(unix_seconds))
            .filter_map(|(index, (_, state))| rest(state, tried.keys.contains(&index)))
            .min()
    }

    /// Whether some endpoint will take calls then.
    pub fn has_endpoint_at(&self, then: Duration) -> bool {
        self.state
            .lock()
            .is_ok_and(|state| state.endpoints.iter().any(|breaker| breaker.allows(then)))
    }

    /// An endpoint, in turn, that its breaker allows.
    fn choose_endpoint(
        &self,
        state: &State,
        now: Duration,
        turn: u32,
        tried: &Tried,
        takes: impl Fn(&usize) -> bool,
    ) -> Option<usize> {
        in_turn(self.endpoints.len(), turn).find(|index| {
            let breaker = state.endpoints.get(*index);
            !tried.endpoints.contains(index)
                && takes(index)
                && breaker.is_some_and(|breaker| breaker.allows(now))
        })
    }

    fn choose_key(
        &self,
        state: &State,
        allows: Allows,
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
                !tried.keys.contains(index) && key.is_valid(unix_seconds) && allows(state, now)
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
