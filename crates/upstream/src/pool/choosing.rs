//! Which credential a call is sent with, and which endpoints may serve it then.

use std::time::Duration;

use super::{Excluded, Pool, State};
use crate::key_state::KeyState;
use crate::order::rendezvous_score;
use crate::{CallContext, Candidates, Pick};

/// Which keys may be taken.
type Allows = fn(&KeyState, Duration, &str) -> bool;

impl Pool {
    /// A credential and endpoints of which nothing is ejected, without what is excluded.
    pub fn choose<'a>(
        &self,
        context: CallContext<'a>,
        excluded: &Excluded,
    ) -> Option<Candidates<'a>> {
        self.choose_where(KeyState::is_usable, context, excluded)
    }

    /// As [`Pool::choose`], but the credential may be suspect: for a call that has no other.
    pub fn choose_suspect<'a>(
        &self,
        context: CallContext<'a>,
        excluded: &Excluded,
    ) -> Option<Candidates<'a>> {
        self.choose_where(KeyState::may_serve, context, excluded)
    }

    fn choose_where<'a>(
        &self,
        allows: Allows,
        context: CallContext<'a>,
        excluded: &Excluded,
    ) -> Option<Candidates<'a>> {
        let state = self.state.lock().ok()?;
        let credential = self.choose_key(&state, allows, context, excluded)?;
        let serves = |index: &usize| {
            let keyless = state.keyless.get(*index);
            keyless.is_some_and(|keyless| allows(keyless, context.now, context.consumer))
        };
        self.allowed(&state, context, credential, |index| {
            !excluded.endpoints.contains(index) && serves(index)
        })
    }

    /// With a key that cools, or without one at an endpoint that takes no more calls for now: its limit may be that of
    /// another model.
    pub fn choose_limited<'a>(
        &self,
        context: CallContext<'a>,
        limited: Pick,
    ) -> Option<Candidates<'a>> {
        let state = self.state.lock().ok()?;
        self.allowed(&state, context, limited.credential, |index| {
            limited.credential.is_some() || *index == limited.endpoint
        })
    }

    /// Endpoints although they are ejected: for a call that has no other. Its key is none that cools or is out.
    pub fn choose_last_resort<'a>(&self, context: CallContext<'a>) -> Option<Candidates<'a>> {
        let state = self.state.lock().ok()?;
        let choose =
            |allows: Allows| self.choose_key(&state, allows, context, &Excluded::default());
        let credential = choose(KeyState::is_usable).or_else(|| choose(KeyState::may_serve))?;
        let serves = |index: &usize| {
            let keyless = state.keyless.get(*index);
            keyless.is_some_and(|keyless| keyless.may_serve(context.now, context.consumer))
        };
        self.regardless(context, credential, serves)
            .or_else(|| self.regardless(context, credential, |_| true))
    }

    /// Endpoints that are ejected, and of which nothing else is known: for a call that has asked all others.
    pub fn choose_ejected<'a>(&self, context: CallContext<'a>) -> Option<Candidates<'a>> {
        let state = self.state.lock().ok()?;
        let excluded = Excluded::default();
        let credential = self.choose_key(&state, KeyState::is_usable, context, &excluded)?;
        self.regardless(context, credential, |index| {
            let keyless = state.keyless.get(*index);
            let endpoint = state.endpoints.get(*index);
            keyless.is_some_and(|keyless| keyless.is_usable(context.now, context.consumer))
                && endpoint.is_some_and(|endpoint| !endpoint.allows(context.now, context.consumer))
        })
    }

    /// Endpoints without a key that said they were busy: for a call that has no other. It does not wait, as it waits
    /// for a key: nobody knows when an engine's queue has room, and many calls that wait are many that come at once.
    pub fn choose_busy<'a>(&self, context: CallContext<'a>) -> Option<Candidates<'a>> {
        if !self.keys.is_empty() {
            return None;
        }
        let state = self.state.lock().ok()?;
        self.allowed(&state, context, None, |_| true)
    }

    /// A key that is out, for a call that would have no key else: the provider's own words say more than the
    /// gateway's.
    pub fn choose_key_that_is_out<'a>(&self, context: CallContext<'a>) -> Option<Candidates<'a>> {
        let state = self.state.lock().ok()?;
        let is_out = |index: &usize| {
            let known = self.keys.get(*index).zip(state.keys.get(*index));
            known.is_some_and(|(key, state)| {
                key.is_valid(context.unix_seconds) && state.is_out(context.now)
            })
        };
        let key = rotated(self.keys.len(), context.sequence).find(is_out)?;
        self.regardless(context, Some(key), |_| true)
    }

    /// Always the same for the same consumer, as long as its key is one: for what a provider keeps by key.
    pub fn choose_by_affinity<'a>(&self, context: CallContext<'a>) -> Option<Candidates<'a>> {
        let state = self.state.lock().ok()?;
        let score = |name: &str| rendezvous_score(context.consumer, name);
        // One that is out comes last: the provider's own words say more than the gateway's.
        let credential = self
            .keys
            .iter()
            .zip(&state.keys)
            .enumerate()
            .filter(|(_, (key, _))| key.is_valid(context.unix_seconds))
            .max_by_key(|(_, (key, state))| (!state.is_out(context.now), score(&key.digest)))
            .map(|(index, _)| index);
        if credential.is_none() && !self.keys.is_empty() {
            return None;
        }
        let nearest = (0..self.endpoints.len()).max_by_key(|index| {
            let endpoint = self.endpoints.get(*index);
            endpoint.map_or(0, |(url, _)| score(url))
        })?;
        self.regardless(context, credential, |index| *index == nearest)
    }

    /// How long until there is a key to use: nothing where there is one now, or none is needed. `None` where waiting
    /// brings none.
    pub fn key_in(&self, context: CallContext<'_>, excluded: &Excluded) -> Option<Duration> {
        if self.keys.is_empty() {
            return Some(Duration::ZERO);
        }
        let CallContext { now, consumer, .. } = context;
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
            .filter_map(|(index, (_, state))| rest(state, excluded.keys.contains(&index)))
            .min()
    }

    /// Whether some endpoint will take a consumer's calls then.
    pub fn has_endpoint_at(&self, then: Duration, consumer: &str) -> bool {
        self.state.lock().is_ok_and(|state| {
            let mut endpoints = state.endpoints.iter();
            endpoints.any(|endpoint| endpoint.allows(then, consumer))
        })
    }

    /// The endpoints of this kind that are not ejected: one on probation takes the call as its trial.
    fn allowed<'a>(
        &self,
        state: &State,
        context: CallContext<'a>,
        credential: Option<usize>,
        serves: impl Fn(&usize) -> bool,
    ) -> Option<Candidates<'a>> {
        let allows = |index: &usize| {
            let endpoint = state.endpoints.get(*index);
            endpoint.is_some_and(|endpoint| endpoint.allows(context.now, context.consumer))
        };
        let found = self.regardless(context, credential, |index| serves(index) && allows(index));
        found.map(|candidates| Candidates {
            is_trial: true,
            ..candidates
        })
    }

    /// The endpoints of this kind, whatever is known of them.
    fn regardless<'a>(
        &self,
        context: CallContext<'a>,
        credential: Option<usize>,
        serves: impl Fn(&usize) -> bool,
    ) -> Option<Candidates<'a>> {
        let endpoints: Vec<usize> = (0..self.endpoints.len()).filter(serves).collect();
        (!endpoints.is_empty()).then_some(Candidates {
            credential,
            endpoints,
            context,
            is_trial: false,
        })
    }

    fn choose_key(
        &self,
        state: &State,
        allows: Allows,
        context: CallContext<'_>,
        excluded: &Excluded,
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
                !excluded.keys.contains(index)
                    && key.is_valid(context.unix_seconds)
                    && allows(state, context.now, context.consumer)
            })
            .map(|(index, (key, _))| (index, key.weight))
            .collect();
        let total: u64 = usable.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let mut drawn = u64::from(context.sequence)
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

/// All places, beginning with the one whose turn it is.
fn rotated(count: usize, sequence: u32) -> impl Iterator<Item = usize> {
    let first = usize::try_from(sequence)
        .unwrap_or_default()
        .checked_rem(count)
        .unwrap_or_default();
    (first..count).chain(0..first)
}
