//! What is known of one key, and for whom it is not used.
//!
//! ```text
//!   a consumer's 429, 402 ──▶ cooling for this consumer; for everybody once two consumers agree
//!   a consumer's 401, 403 ──▶ suspect for this consumer, a probe at once
//!                                │ 401: out for everybody, unless it has just served (see `trust`)
//!                                │ the list of models: used again, by all
//!                                │ 403: suspect for a minute more
//!                                │ anything else: after a 401 suspect for a minute more
//! ```
//!
//! A 401 may be about a header that the client wrote, a 429 or a 402 about the size of what it asked for; so a call
//! alone ejects the key for its own consumer and for nobody else. A suspect key serves where there is nothing
//! better. Only a probe puts a key out: it has the key, and nothing of a client's.
//!
//! Where a provider has no keys, the same is kept for each of its endpoints, less the probes.

mod sharing;
mod trust;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::agreement::agreed_until;
use crate::{Failure, ProbeKind, Probed, SharedState};
use trust::Trust;

/// A key that the provider did not take is out for so long, unless a probe finds that it is taken again: 30 days, more
/// than anybody leaves a dead key in a configuration.
const OUT_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How long a key cools that the provider limited without saying for how long.
const COOL_FOR: Duration = Duration::from_secs(2);

/// How long a key without credit (402) cools: somebody has to pay first.
const UNPAID_FOR: Duration = Duration::from_secs(60);

/// No `Retry-After` is believed beyond an hour.
const MAX_COOLING: Duration = Duration::from_secs(60 * 60);

/// What two consumers agree on keeps the others from the key for so long at most, then one of them may look.
const MAX_COOLING_FOR_ALL: Duration = Duration::from_secs(60);

/// A key that was refused something is suspect for so long, while a probe finds out whether it is refused all.
const SUSPECT_FOR: Duration = Duration::from_secs(10);

/// So long a key is suspect where a probe does not clear it: one call of a consumer a minute asks again.
const UNCLEARED_FOR: Duration = Duration::from_secs(60);

/// So long after a probe that the provider takes the key, its 403 is about what was asked, not about the key.
const TRUSTED_FOR: Duration = Duration::from_secs(5 * 60);

/// The same of a 401, which is seldom about what was asked: a key that is revoked now should not go on for minutes.
const TRUSTED_AGAINST_401_FOR: Duration = Duration::from_secs(30);

/// How often it is tried whether a key that is out is taken again.
const PROBE_EVERY: Duration = Duration::from_secs(5 * 60);

/// After so long an answer to a probe is not waited for any more.
const PROBE_PATIENCE: Duration = Duration::from_secs(20);

/// What a provider said against a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFault {
    /// 401: it is not one.
    Unknown,
    /// 403: it may not do this, or nothing.
    Forbidden,
    /// 402: nothing is left on its account.
    Unpaid,
    /// 429: too many calls, for so long where it said.
    Limited(Option<Duration>),
}

/// What is known of a key.
#[derive(Debug, Default)]
pub(crate) struct KeyState {
    /// For everybody.
    out: Option<Out>,
    /// For each consumer that found something. At most one entry a consumer of the configuration.
    consumers: BTreeMap<String, Setback>,
    /// When it served last.
    last_served: Option<Duration>,
    /// When a probe found that it is taken; where there is no key, when the endpoint served.
    confirmed_at: Option<Duration>,
    probe: Option<(ProbeKind, Duration)>,
    /// When a probe was sent that has not been answered.
    probed_at: Option<Duration>,
    trust: Option<Trust>,
}

#[derive(Debug, Clone, Copy)]
struct Out {
    until: Duration,
    /// Since when other instances know of it.
    shared_since: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Setback {
    why: Why,
    since: Duration,
    until: Duration,
    /// So long it may hold for others, too, where a second consumer found the same. No other instance begins it anew.
    until_for_all: Duration,
    shared_since: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Cooling,
    /// Nothing is proven: it is used where there is nothing better.
    Suspect {
        /// By a 401.
        is_unknown: bool,
    },
}

/// What other instances should know: for this consumer, or for everybody. To what, and for how long; `None`: nothing is
/// the matter any more.
pub(crate) type KeyChange = (Option<String>, Option<(SharedState, Duration)>);

impl KeyFault {
    /// What a failure for which the key is to blame says against it.
    pub(crate) fn of(failure: Failure, retry_after: Option<Duration>) -> Self {
        match failure {
            Failure::Status(401) | Failure::DeadKey(_) => Self::Unknown,
            Failure::Status(402) | Failure::NoCredit(_) => Self::Unpaid,
            Failure::Status(403) => Self::Forbidden,
            _ => Self::Limited(retry_after),
        }
    }
}

impl Setback {
    fn is_over(&self, now: Duration) -> bool {
        now >= self.until
    }

    fn is_cooling(&self, now: Duration) -> bool {
        self.why == Why::Cooling && !self.is_over(now)
    }
}

impl KeyState {
    /// Whether a consumer uses it.
    pub fn is_usable(&self, now: Duration, consumer: &str) -> bool {
        self.own(now, consumer).is_none() && self.may_serve(now, consumer)
    }

    /// Whether a consumer uses it where there is nothing better: it is usable, or merely suspect.
    pub fn may_serve(&self, now: Duration, consumer: &str) -> bool {
        self.cools_until(now, consumer).is_none() && !self.is_out(now)
    }

    /// How much longer it cools for a consumer; `None` for one that is out.
    pub fn cools_for(&self, now: Duration, consumer: &str) -> Option<Duration> {
        if self.is_out(now) {
            return None;
        }
        let until = self.cools_until(now, consumer);
        let suspected = || self.own(now, consumer).map(|own| own.until);
        until
            .or_else(suspected)
            .map(|until| until.saturating_sub(now))
    }

    pub fn is_out(&self, now: Duration) -> bool {
        self.out.is_some_and(|out| now < out.until)
    }

    fn own(&self, now: Duration, consumer: &str) -> Option<&Setback> {
        let own = self.consumers.get(consumer);
        own.filter(|own| !own.is_over(now))
    }

    fn cools_until(&self, now: Duration, consumer: &str) -> Option<Duration> {
        let own = self.own(now, consumer);
        let own = own.filter(|own| own.why == Why::Cooling);
        let agreed = || {
            let cooling = self
                .consumers
                .values()
                .filter(|setback| setback.is_cooling(now));
            let found = cooling.map(|setback| (setback.since, setback.until_for_all));
            agreed_until(found, self.last_served).filter(|until| now < *until)
        };
        own.map(|own| own.until).or_else(agreed)
    }

    /// Ejects the key for a consumer; `None` where that says nothing new, or nothing yet.
    pub fn blame(&mut self, now: Duration, consumer: &str, fault: KeyFault) -> Option<KeyChange> {
        let time = match fault {
            KeyFault::Unknown | KeyFault::Forbidden => {
                self.suspect(now, consumer, fault == KeyFault::Unknown);
                return None;
            }
            KeyFault::Unpaid => UNPAID_FOR,
            KeyFault::Limited(retry_after) => retry_after
                .unwrap_or(COOL_FOR)
                .clamp(Duration::from_secs(1), MAX_COOLING),
        };
        if self.is_out(now) {
            return None;
        }
        let until = now.saturating_add(time);
        let own = self.own(now, consumer);
        let is_known = own.is_some_and(|own| own.why == Why::Cooling && until <= own.until);
        if is_known {
            return None;
        }
        self.set_back(now, consumer, Why::Cooling, time);
        Some((
            Some(consumer.to_owned()),
            Some((SharedState::Cooling, time)),
        ))
    }

    fn set_back(&mut self, now: Duration, consumer: &str, why: Why, time: Duration) {
        self.consumers.retain(|_, setback| !setback.is_over(now));
        let setback = Setback {
            why,
            since: now,
            until: now.saturating_add(time),
            until_for_all: now.saturating_add(time.min(MAX_COOLING_FOR_ALL)),
            shared_since: None,
        };
        self.consumers.insert(consumer.to_owned(), setback);
    }

    /// Whether a refusal is about the key, or about what one client sent, a probe tells at once.
    fn suspect(&mut self, now: Duration, consumer: &str, is_unknown: bool) {
        if self.is_confirmed(now, is_unknown) || self.is_out(now) {
            return;
        }
        let own = self.consumers.get_mut(consumer);
        match own.filter(|own| !own.is_over(now)) {
            Some(own) => {
                if is_unknown && own.why != Why::Cooling {
                    own.why = Why::Suspect { is_unknown };
                }
            }
            None => self.set_back(now, consumer, Why::Suspect { is_unknown }, SUSPECT_FOR),
        }
        let is_asked = self
            .probed_at
            .is_some_and(|at| now.saturating_sub(at) < PROBE_PATIENCE);
        if !is_asked {
            self.probe = Some((ProbeKind::Suspect, now));
        }
    }

    fn is_confirmed(&self, now: Duration, is_unknown: bool) -> bool {
        let time = if is_unknown {
            TRUSTED_AGAINST_401_FOR
        } else {
            TRUSTED_FOR
        };
        self.confirmed_at
            .is_some_and(|at| now < at.saturating_add(time))
    }

    /// As [`KeyState::blame`], where no key was sent: there is none to probe, and none that could be out.
    pub fn blame_without_key(&mut self, now: Duration, consumer: &str, fault: KeyFault) {
        match fault {
            KeyFault::Limited(_) => {
                self.blame(now, consumer, fault);
            }
            KeyFault::Forbidden if self.is_confirmed(now, false) => {}
            KeyFault::Unknown | KeyFault::Unpaid | KeyFault::Forbidden => {
                if self.own(now, consumer).is_none() {
                    let why = Why::Suspect { is_unknown: false };
                    self.set_back(now, consumer, why, COOL_FOR);
                }
            }
        }
    }

    /// Says that it has served a consumer's call that was sent at `sent`: what was suspected for this one was wrong. A
    /// stream that began before a key was found out may go on long after.
    pub fn served(&mut self, now: Duration, sent: Duration, consumer: &str) -> Vec<KeyChange> {
        self.last_served = Some(now);
        if let Some(out) = self.out.filter(|out| now < out.until) {
            let since = out.until.saturating_sub(OUT_FOR);
            return if sent < since {
                Vec::new()
            } else {
                self.confirm(now)
            };
        }
        let trusted = self.trust_more(now, sent);
        let is_suspect = |own: &Setback| own.why != Why::Cooling;
        if !self.consumers.get(consumer).is_some_and(is_suspect) {
            return trusted.into_iter().collect();
        }
        let own = self.consumers.remove(consumer);
        let is_shared = own.is_some_and(|own| own.shared_since.is_some() && !own.is_over(now));
        let change = is_shared.then(|| (Some(consumer.to_owned()), None));
        trusted.into_iter().chain(change).collect()
    }

    /// Says that an endpoint has served a call without a key: it takes calls again, as one has just ended, and says 403
    /// to what was asked.
    pub fn served_without_key(&mut self, now: Duration) {
        *self = Self {
            confirmed_at: Some(now),
            ..Self::default()
        };
    }

    /// Why it should be probed now; the next time is later.
    pub fn begin_probe(&mut self, now: Duration) -> Option<ProbeKind> {
        let (kind, _) = self.probe.filter(|(_, at)| now >= *at)?;
        self.probe = self
            .is_out(now)
            .then(|| (ProbeKind::Out, now.saturating_add(PROBE_EVERY)));
        if kind != ProbeKind::Suspect && !self.is_out(now) {
            return None;
        }
        self.probed_at = Some(now);
        Some(kind)
    }

    /// Takes over what a probe found.
    pub fn probed(&mut self, now: Duration, found: Probed) -> Vec<KeyChange> {
        self.probed_at = None;
        match found {
            Probed::Accepted => self.confirm(now),
            Probed::Refused => {
                if self.is_out(now) {
                    return Vec::new();
                }
                if let Some(doubted) = self.trust_less(now) {
                    let suspect = self.stay_suspect(now, |_| true);
                    return doubted.into_iter().chain(suspect).collect();
                }
                self.consumers.clear();
                self.out = Some(Out {
                    until: now.saturating_add(OUT_FOR),
                    shared_since: None,
                });
                self.probe = Some((ProbeKind::Out, now.saturating_add(PROBE_EVERY)));
                vec![(None, Some((SharedState::Out, OUT_FOR)))]
            }
            Probed::Forbidden => self.stay_suspect(now, |_| true),
            Probed::Unclear | Probed::Failed => self.stay_suspect(now, |is_unknown| is_unknown),
        }
    }

    /// The key stays suspect, or every call would ask with it: for those whose refusal, a 401 or not, was such.
    fn stay_suspect(&mut self, now: Duration, whose: impl Fn(bool) -> bool) -> Vec<KeyChange> {
        let setbacks = self.consumers.iter_mut();
        let suspect = setbacks.filter(|(_, setback)| {
            let Why::Suspect { is_unknown } = setback.why else {
                return false;
            };
            whose(is_unknown) && !setback.is_over(now)
        });
        suspect
            .map(|(consumer, setback)| {
                setback.until = now.saturating_add(UNCLEARED_FOR);
                let to = Some((SharedState::Suspect, UNCLEARED_FOR));
                (Some(consumer.clone()), to)
            })
            .collect()
    }

    /// The provider takes it: nothing is suspected any more. That it is taken says nothing against a limit.
    fn confirm(&mut self, now: Duration) -> Vec<KeyChange> {
        let was_out = self.is_out(now);
        self.out = None;
        self.confirmed_at = Some(now);
        self.probe = None;
        let mut changes: Vec<KeyChange> = was_out.then_some((None, None)).into_iter().collect();
        self.consumers.retain(|consumer, setback| {
            let stays = setback.why == Why::Cooling;
            if !stays && setback.shared_since.is_some() && !setback.is_over(now) {
                changes.push((Some(consumer.clone()), None));
            }
            stays
        });
        changes
    }
}
