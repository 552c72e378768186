//! Whether a probe's 401 is about the key.
//!
//! ```text
//!   a call was served ──▶ served, for five minutes ──a probe gets a 401──▶ doubted, for five minutes
//!                                                                            │ a call is served all the same
//!                                                                            ▼
//!                                        vouched for, for a day: the list of models tells nothing
//! ```
//!
//! **Rule.** A probe's 401 puts a key out, unless the key has served somebody in the last five minutes: then it stays
//! suspect for whoever was refused. Should it serve once more after that, the provider's list of models wants something
//! else than its calls do, and is not believed for a day. **Cost.** One entry a key in the store, written once a minute at
//! most. **Where it fails.** Nobody was served for five minutes: then the list is believed.

use std::time::Duration;

use super::{KeyChange, KeyState};
use crate::SharedState;

/// So long a call that was served counts against a probe, and a probe's 401 is held against calls to come.
const RECENTLY: Duration = Duration::from_secs(5 * 60);

/// So long a list of models is not believed that refused a key which serves.
const VOUCHED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Others are told that a key serves this often.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// What is known in favour of a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trust {
    /// [`SharedState::Served`], [`SharedState::Doubted`] or [`SharedState::Vouched`].
    state: SharedState,
    until: Duration,
    /// When others should be told again that it serves.
    told_again: Duration,
}

impl KeyState {
    fn trust(&self, now: Duration) -> Option<SharedState> {
        let trust = self.trust.filter(|trust| now < trust.until);
        trust.map(|trust| trust.state)
    }

    /// Takes a call that was served in its favour.
    pub(super) fn trust_more(&mut self, now: Duration) -> Option<KeyChange> {
        match self.trust(now) {
            Some(SharedState::Vouched) => None,
            Some(SharedState::Doubted) => Some(self.set_trust(now, SharedState::Vouched)),
            _ => {
                let told_again = self.trust.map(|trust| trust.told_again);
                let change = self.set_trust(now, SharedState::Served);
                match told_again.filter(|at| now < *at) {
                    Some(told_again) => {
                        self.trust = self.trust.map(|trust| Trust {
                            told_again,
                            ..trust
                        });
                        None
                    }
                    None => Some(change),
                }
            }
        }
    }

    /// Takes a probe's 401. `None`: there is nothing in its favour. Else what others should know.
    pub(super) fn trust_less(&mut self, now: Duration) -> Option<Option<KeyChange>> {
        match self.trust(now)? {
            SharedState::Served => Some(Some(self.set_trust(now, SharedState::Doubted))),
            _ => Some(None),
        }
    }

    fn set_trust(&mut self, now: Duration, state: SharedState) -> KeyChange {
        let time = if state == SharedState::Vouched {
            VOUCHED_FOR
        } else {
            RECENTLY
        };
        self.trust = Some(Trust {
            state,
            until: now.saturating_add(time),
            told_again: now.saturating_add(TOLD_EVERY),
        });
        (None, Some((state, time)))
    }

    /// Takes over what others say in its favour.
    pub(super) fn merge_trust(
        &mut self,
        now: Duration,
        state: SharedState,
        rest: Duration,
        age: Duration,
    ) {
        let until = now.saturating_add(rest);
        let rank = |state: SharedState| match state {
            SharedState::Vouched => 2,
            SharedState::Doubted => 1,
            _ => 0,
        };
        let own = self.trust.filter(|own| now < own.until);
        let is_news = own.is_none_or(|own| (rank(own.state), own.until) < (rank(state), until));
        if is_news {
            self.trust = Some(Trust {
                state,
                until,
                told_again: now.saturating_add(TOLD_EVERY.saturating_sub(age)),
            });
        }
    }
}
