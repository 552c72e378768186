//! One of a provider's keys, and when it is not used.

use std::time::Duration;

use sha2::{Digest, Sha256};
use spillway_config::ProviderKey;

/// A key that the provider did not take is out for so long, unless a probe finds that it is taken again: 30 days, more
/// than anybody leaves a dead key in a configuration.
const OUT_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How long a key is left alone that the provider limited without saying for how long.
const COOL_FOR: Duration = Duration::from_secs(2);

/// How long a key without credit (402) is left alone: somebody has to pay first.
const UNPAID_FOR: Duration = Duration::from_secs(60);

/// No `Retry-After` is believed beyond an hour.
const LONGEST_COOLING: Duration = Duration::from_secs(60 * 60);

/// A key that was forbidden something is left alone for so long, while a probe finds out whether it is forbidden all.
const SUSPECT_FOR: Duration = Duration::from_secs(10);

/// So long after a probe that the provider takes the key, its 403 is about what was asked, not about the key.
const VOUCHED_FOR: Duration = Duration::from_secs(5 * 60);

/// How often it is tried whether a key that is out is taken again.
const PROBE_EVERY: Duration = Duration::from_secs(5 * 60);

/// A key, its secret with it.
#[derive(Clone)]
pub struct Key {
    /// What is sent.
    pub secret: String,
    /// What stands in logs, metrics and the store: the beginning of its SHA-256.
    pub digest: String,
    pub(crate) weight: u32,
    not_before: Option<u64>,
    expires: Option<u64>,
}

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

/// Why a key is probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeKind {
    /// This instance got a 403 with it.
    Suspect,
    /// It is out, and may be taken again by now. One instance is enough to ask.
    Out,
}

/// What a probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probed {
    /// The provider takes the key.
    Taken,
    /// It does not.
    Refused,
    /// Nothing.
    Unclear,
}

/// What is known of a key.
#[derive(Debug, Default)]
pub(crate) struct KeyState {
    aside: Option<Aside>,
    vouched_until: Option<Duration>,
    probe: Option<(ProbeKind, Duration)>,
}

#[derive(Debug, Clone, Copy)]
struct Aside {
    is_out: bool,
    /// Nothing is proven: it is used where there is nothing better.
    is_suspect: bool,
    until: Duration,
    /// Since when other instances know of it.
    shared_since: Option<Duration>,
}

impl Key {
    pub(crate) fn new(config: &ProviderKey) -> Self {
        Self {
            secret: config.key.clone(),
            digest: key_digest(&config.key),
            weight: config.weight,
            not_before: config.not_before.map(spillway_config::Moment::unix_seconds),
            expires: config.expires.map(spillway_config::Moment::unix_seconds),
        }
    }

    /// Whether it is within its time.
    pub(crate) fn is_valid(&self, unix_seconds: u64) -> bool {
        self.not_before.is_none_or(|from| from <= unix_seconds)
            && self.expires.is_none_or(|until| unix_seconds < until)
    }
}

// The secret stays out.
impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Key")
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

/// What a key is called in logs, metrics and the store: the beginning of its SHA-256, in hexadecimal.
pub fn key_digest(secret: &str) -> String {
    Sha256::digest(secret.as_bytes())
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl KeyState {
    pub fn is_usable(&self, now: Duration) -> bool {
        self.aside.is_none_or(|aside| now >= aside.until)
    }

    /// Whether it is used where there is nothing better: it is usable, or merely suspect.
    pub fn may_serve(&self, now: Duration) -> bool {
        self.aside
            .is_none_or(|aside| aside.is_suspect || now >= aside.until)
    }

    /// How much longer it cools; `None` for one that is out.
    pub fn cools_for(&self, now: Duration) -> Option<Duration> {
        let aside = self.aside?;
        (!aside.is_out).then(|| aside.until.saturating_sub(now))
    }

    pub fn is_out(&self, now: Duration) -> bool {
        self.aside
            .is_some_and(|aside| aside.is_out && now < aside.until)
    }

    /// Sets the key aside; `None` where that says nothing new.
    pub fn blame(&mut self, now: Duration, fault: KeyFault) -> Option<(bool, Duration)> {
        let (is_out, time) = match fault {
            KeyFault::Unknown => (true, OUT_FOR),
            KeyFault::Forbidden => {
                self.suspect(now);
                return None;
            }
            KeyFault::Unpaid => (false, UNPAID_FOR),
            KeyFault::Limited(told) => (
                false,
                told.unwrap_or(COOL_FOR)
                    .clamp(Duration::from_secs(1), LONGEST_COOLING),
            ),
        };
        let until = now.saturating_add(time);
        if self.is_out(now) {
            return None;
        }
        let extends = self
            .aside
            .is_none_or(|aside| is_out || aside.is_suspect || aside.until < until);
        if !extends {
            return None;
        }
        self.set_aside(now, is_out, until);
        Some((is_out, time))
    }

    fn set_aside(&mut self, now: Duration, is_out: bool, until: Duration) {
        self.aside = Some(Aside {
            is_out,
            is_suspect: false,
            until,
            shared_since: None,
        });
        self.probe = is_out.then(|| (ProbeKind::Out, now.saturating_add(PROBE_EVERY)));
    }

    /// Whether a 403 is about the key, or about what was asked, a probe tells at once.
    fn suspect(&mut self, now: Duration) {
        if !self.is_vouched(now) && self.is_usable(now) {
            self.doubt(now, SUSPECT_FOR);
            self.probe = Some((ProbeKind::Suspect, now));
        }
    }

    fn is_vouched(&self, now: Duration) -> bool {
        self.vouched_until.is_some_and(|until| now < until)
    }

    fn doubt(&mut self, now: Duration, time: Duration) {
        self.aside = Some(Aside {
            is_out: false,
            is_suspect: true,
            until: now.saturating_add(time),
            shared_since: None,
        });
    }

    /// As [`KeyState::blame`], where no key was sent: there is none to probe, and none that could be out.
    pub fn blame_without_key(&mut self, now: Duration, fault: KeyFault) {
        match fault {
            KeyFault::Limited(_) => {
                self.blame(now, fault);
            }
            KeyFault::Forbidden if self.is_vouched(now) => {}
            KeyFault::Unknown | KeyFault::Unpaid | KeyFault::Forbidden => {
                if self.is_usable(now) {
                    self.doubt(now, COOL_FOR);
                }
            }
        }
    }

    /// Why it should be probed now; the next time is later.
    pub fn take_probe(&mut self, now: Duration) -> Option<ProbeKind> {
        let (kind, _) = self.probe.filter(|(_, at)| now >= *at)?;
        self.probe = self
            .is_out(now)
            .then(|| (ProbeKind::Out, now.saturating_add(PROBE_EVERY)));
        (kind == ProbeKind::Suspect || self.is_out(now)).then_some(kind)
    }

    /// Takes over what a probe found. What other instances should know comes back: for how long it is out, or that it
    /// no longer is.
    pub fn probed(&mut self, now: Duration, found: Probed) -> Option<Option<(bool, Duration)>> {
        match found {
            Probed::Taken => self.vouch(now).then_some(None),
            Probed::Refused if !self.is_out(now) => self.blame(now, KeyFault::Unknown).map(Some),
            Probed::Refused | Probed::Unclear => None,
        }
    }

    /// The provider takes it. `true` where it was out.
    pub fn vouch(&mut self, now: Duration) -> bool {
        let was_out = self.is_out(now);
        self.vouched_until = Some(now.saturating_add(VOUCHED_FOR));
        // That it is taken says nothing against a limit.
        self.aside = self
            .aside
            .filter(|aside| !aside.is_out && !aside.is_suspect);
        self.probe = None;
        was_out
    }

    pub fn shared(&mut self, now: Duration) {
        if let Some(aside) = &mut self.aside {
            aside.shared_since.get_or_insert(now);
        }
    }

    /// As [`crate::Breaker::merge`].
    pub fn merge(&mut self, now: Duration, read_began: Duration, told: Option<(bool, Duration)>) {
        match (told, self.aside) {
            (Some((is_out, rest)), aside) => {
                let until = now.saturating_add(rest);
                let is_news =
                    |aside: Aside| aside.is_suspect || aside.until < until || now >= aside.until;
                if aside.is_none_or(is_news) {
                    self.aside = Some(Aside {
                        is_out,
                        is_suspect: false,
                        until,
                        shared_since: Some(now),
                    });
                    if is_out {
                        self.probe
                            .get_or_insert((ProbeKind::Out, now.saturating_add(PROBE_EVERY)));
                    }
                }
            }
            (None, Some(aside))
                if now < aside.until
                    && aside.shared_since.is_some_and(|since| since < read_began) =>
            {
                self.aside = None;
            }
            (None, _) => {}
        }
    }
}
