//! Whether a probe's 401 is about the key.
//!
//! ```text
//!   a call was served ──▶ served, for five minutes ──a probe gets a 401──▶ doubted, for what is left of them
//!                                                                            │ a call that is sent now is served
//!                                                                            ▼
//!                                        trusted, for a day: the list of models tells nothing
//! ```
//!
//! **Rule.** A probe's 401 puts a key out, unless a call that was sent with it in the last five minutes was served: then
//! it stays suspect for whoever was refused. Should a call that is sent after that probe be served, the provider's list of
//! models wants something else than its calls do, and is not believed for a day. **Cost.** One entry a key in the store,
//! written once a minute at most. **Where it fails.** Nobody was served for five minutes: then the list is believed. A
//! key that dies within the day costs each consumer an attempt a minute, as where there is no list.

use std::time::Duration;

use super::{KeyChange, KeyState};
use crate::SharedState;

/// So long a call that was served counts against a probe.
const RECENTLY: Duration = Duration::from_secs(5 * 60);

/// So long a list of models is not believed that refused a key which serves.
const TRUSTED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Others are told that a key serves this often.
const PUBLISHED_EVERY: Duration = Duration::from_secs(60);

/// What is known in favour of a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trust {
    /// [`SharedState::Served`], [`SharedState::Doubted`] or [`SharedState::Trusted`].
    state: SharedState,
    /// When it began: others were told then.
    since: Duration,
    until: Duration,
}

impl KeyState {
    fn trust(&self, now: Duration) -> Option<Trust> {
        self.trust.filter(|trust| now < trust.until)
    }

    /// Takes a call in its favour that was sent at `sent` and served.
    pub(super) fn trust_more(&mut self, now: Duration, sent: Duration) -> Option<KeyChange> {
        let trust = self.trust(now);
        match trust.map(|trust| trust.state) {
            Some(SharedState::Trusted) => None,
            Some(SharedState::Doubted) => {
                let is_news = trust.is_some_and(|trust| sent > trust.since);
                is_news.then(|| {
                    self.set_trust(SharedState::Trusted, now, now.saturating_add(TRUSTED_FOR))
                })
            }
            _ => {
                let until = sent.saturating_add(RECENTLY);
                if until <= now || trust.is_some_and(|trust| until <= trust.until) {
                    return None;
                }
                match self.trust.as_mut() {
                    // Others know; how long is told to them the next time.
                    Some(known) if now < known.since.saturating_add(PUBLISHED_EVERY) => {
                        known.until = until;
                        None
                    }
                    _ => Some(self.set_trust(SharedState::Served, now, until)),
                }
            }
        }
    }

    /// Takes a probe's 401. `None`: there is nothing in its favour. Else what others should know.
    pub(super) fn trust_less(&mut self, now: Duration) -> Option<Option<KeyChange>> {
        let trust = self.trust(now)?;
        Some(match trust.state {
            SharedState::Served => Some(self.set_trust(SharedState::Doubted, now, trust.until)),
            _ => None,
        })
    }

    fn set_trust(&mut self, state: SharedState, since: Duration, until: Duration) -> KeyChange {
        self.trust = Some(Trust {
            state,
            since,
            until,
        });
        (None, Some((state, until.saturating_sub(since))))
    }

    /// Takes over what others say in its favour.
    pub(super) fn merge_trust(
        &mut self,
        now: Duration,
        state: SharedState,
        rest: Duration,
        age: Duration,
    ) {
        let (since, until) = (now.saturating_sub(age), now.saturating_add(rest));
        let rank = |state: SharedState| match state {
            SharedState::Trusted => 2,
            SharedState::Doubted => 1,
            _ => 0,
        };
        let own = self.trust(now);
        let is_news = own.is_none_or(|own| (rank(own.state), own.until) < (rank(state), until));
        if is_news {
            self.trust = Some(Trust {
                state,
                since,
                until,
            });
        }
    }
}
