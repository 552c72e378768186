//! Which way is taken to a provider.

use std::time::Duration;

use super::{PickContext, Pool, State, Tried, Way};
use crate::key_state::KeyState;
use crate::order::rendezvous_score;

/// Which keys may be taken.
type Allows = fn(&KeyState, Duration, &str) -> bool;

impl Pool {
    /// A way of which nothing is set aside, in turn, without what was tried. The one who asks will go it.
    pub fn choose(&self, context: PickContext<'_>, tried: &Tried) -> Option<Way> {
        self.choose_where(KeyState::is_usable, context, tried)
    }

    /// As [`Pool::choose`], but its key may be suspect: for a call that has no other way.
    pub fn choose_suspect(&self, context: PickContext<'_>, tried: &Tried) -> Option<Way> {
        self.choose_where(KeyState::may_serve, context, tried)
    }

    fn choose_where(&self, allows: Allows, context: PickContext<'_>, tried: &Tried) -> Option<Way> {
        let mut state = self.state.lock().ok()?;
        let key = self.choose_key(&state, allows, context, tried)?;
        let takes = |index: &usize| {
            let keyless = state.keyless.get(*index);
            keyless.is_some_and(|keyless| allows(keyless, context.now, context.consumer))
        };
        let endpoint = self.choose_endpoint(&state, context, tried, takes)?;
        enter(&mut state, endpoint, context);
        Some(Way { endpoint, key })
    }

    /// A way by a key that cools, or without one to an endpoint that takes no more calls for now: its limit may be that
    /// of another model.
    pub fn choose_limited(&self, context: PickContext<'_>, limited: Way) -> Option<Way> {
        let mut state = self.state.lock().ok()?;
        let takes = |index: &usize| limited.key.is_some() || *index == limited.endpoint;
        let endpoint = self.choose_endpoint(&state, context, &Tried::default(), takes)?;
        enter(&mut state, endpoint, context);
        Some(Way {
            endpoint,
            key: limited.key,
        })
    }

    /// A way although its endpoint is left alone: for a call that has no other. Its key is none that cools or is out.
    pub fn choose_last_resort(&self, context: PickContext<'_>) -> Option<Way> {
        let state = self.state.lock().ok()?;
        let choose = |allows: Allows| self.choose_key(&state, allows, context, &Tried::default());
        let key = choose(KeyState::is_usable).or_else(|| choose(KeyState::may_serve))?;
        let takes = |index: &usize| {
            let keyless = state.keyless.get(*index);
            keyless.is_some_and(|keyless| keyless.may_serve(context.now, context.consumer))
        };
        let endpoints = || in_turn(self.endpoints.len(), context.turn);
        let endpoint = endpoints().find(takes).or_else(|| endpoints().next())?;
        Some(Way { endpoint, key })
    }

    /// A way to an endpoint that is left alone, and of which nothing else is known: for a call that has asked all others.
    pub fn choose_ejected(&self, context: PickContext<'_>) -> Option<Way> {
        let state = self.state.lock().ok()?;
        let tried = Tried::default();
        let key = self.choose_key(&state, KeyState::is_usable, context, &tried)?;
        let is_ejected = |index: &usize| {
            let keyless = state.keyless.get(*index);
            let endpoint = state.endpoints.get(*index);
            keyless.is_some_and(|keyless| keyless.is_usable(context.now, context.consumer))
                && endpoint.is_some_and(|endpoint| !endpoint.allows(context.now, context.consumer))
        };
        let endpoint = in_turn(self.endpoints.len(), context.turn).find(is_ejected)?;
        Some(Way { endpoint, key })
    }

    /// A way to an endpoint without a key that said it was busy: for a call that has no other. It does not wait, as it
    /// waits for a key: nobody knows when an engine's queue has room, and many calls that wait are many that come at
    /// once.
    pub fn choose_busy(&self, context: PickContext<'_>) -> Option<Way> {
        if !self.keys.is_empty() {
            return None;
        }
        let mut state = self.state.lock().ok()?;
        let endpoint = self.choose_endpoint(&state, context, &Tried::default(), |_| true)?;
        enter(&mut state, endpoint, context);
        Some(Way {
            endpoint,
            key: None,
        })
    }

    /// A key that is out, for a call that would have no key else: the provider's own words say more than the
    /// gateway's.
    pub fn choose_key_that_is_out(&self, context: PickContext<'_>) -> Option<Way> {
        let state = self.state.lock().ok()?;
        let is_out = |index: &usize| {
            let known = self.keys.get(*index).zip(state.keys.get(*index));
            known.is_some_and(|(key, state)| {
                key.is_valid(context.unix_seconds) && state.is_out(context.now)
            })
        };
        let key = in_turn(self.keys.len(), context.turn).find(is_out)?;
        let endpoint = in_turn(self.endpoints.len(), context.turn).next()?;
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
    pub fn key_in(&self, context: PickContext<'_>, tried: &Tried) -> Option<Duration> {
        if self.keys.is_empty() {
            return Some(Duration::ZERO);
        }
        let PickContext { now, consumer, .. } = context;
        let state = self.state.lock().ok()?;
        let rest = |known: &KeyState, was_tried: bool| {
            if known.is_usable(now, consumer) || (known.may_serve(now, consumer) && !was_tried) {
                Some(Duration::ZERO)
            } else {
                known.cools_for(now, consumer)
            }
        };
        self.keys
            .iter()
            .zip(&state.keys)
            .enumerate()
            .filter(|(_, (key, _))| key.is_valid(context.unix_seconds))
            .filter_map(|(index, (_, state))| rest(state, tried.keys.contains(&index)))
            .min()
    }

    /// Whether some endpoint will take a consumer's calls then.
    pub fn has_endpoint_at(&self, then: Duration, consumer: &str) -> bool {
        self.state.lock().is_ok_and(|state| {
            let mut endpoints = state.endpoints.iter();
            endpoints.any(|endpoint| endpoint.allows(then, consumer))
        })
    }

    /// An endpoint, in turn, that is not left alone.
    fn choose_endpoint(
        &self,
        state: &State,
        context: PickContext<'_>,
        tried: &Tried,
        takes: impl Fn(&usize) -> bool,
    ) -> Option<usize> {
        in_turn(self.endpoints.len(), context.turn).find(|index| {
            let endpoint = state.endpoints.get(*index);
            !tried.endpoints.contains(index)
                && takes(index)
                && endpoint.is_some_and(|endpoint| endpoint.allows(context.now, context.consumer))
        })
    }

    fn choose_key(
        &self,
        state: &State,
        allows: Allows,
        context: PickContext<'_>,
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
                !tried.keys.contains(index)
                    && key.is_valid(context.unix_seconds)
                    && allows(state, context.now, context.consumer)
            })
            .map(|(index, (key, _))| (index, key.weight))
            .collect();
        let total: u64 = usable.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let mut drawn = u64::from(context.turn)
            .checked_rem(total)
            .unwrap_or_default();
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

/// Says that a call is going to this endpoint.
fn enter(state: &mut State, endpoint: usize, context: PickContext<'_>) {
    if let Some(endpoint) = state.endpoints.get_mut(endpoint) {
        endpoint.enter(context.now, context.consumer);
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
