//! A provider's endpoints and keys, and which of them are set aside.

mod choosing;

use std::sync::Mutex;
use std::time::Duration;

use spillway_config::Provider;
use spillway_platform::Upstream;

use crate::breaker::{Breaker, Change};
use crate::key::{Key, KeyFault, KeyState, ProbeKind, Probed};
use crate::{Blame, Failure, SharedEntry, SharedState, Subject, Transition};

/// A provider's endpoints and keys.
#[derive(Debug)]
pub struct Pool {
    provider: String,
    endpoints: Vec<(String, Upstream)>,
    keys: Vec<Key>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    endpoints: Vec<Breaker>,
    keys: Vec<KeyState>,
    /// Where the provider has no keys: what each endpoint said against whoever comes without one.
    keyless: Vec<KeyState>,
    /// The endpoint that answered last.
    last_answered: usize,
}

/// One way to a provider: an endpoint, and a key where the provider has some. By their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// The endpoint's place.
    pub endpoint: usize,
    /// The key's place; `None`: none is sent.
    pub key: Option<usize>,
}

/// What a call has found to be at fault already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tried {
    endpoints: Vec<usize>,
    keys: Vec<usize>,
}

/// How a call on a way went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It served.
    Served,
    /// It failed; with the time that the provider asked to be left alone for.
    Failed(Failure, Option<Duration>),
    /// It tells nothing: the client left first.
    Unknown,
}

impl Tried {
    /// Notes who is to blame. `false` where nobody is, so that another way would be no better.
    pub fn note(&mut self, way: Way, blame: Blame) -> bool {
        match (blame, way.key) {
            (Blame::Key, Some(key)) => self.keys.push(key),
            // Without a key it is the endpoint that takes no more calls.
            (Blame::Endpoint, _) | (Blame::Key, None) => self.endpoints.push(way.endpoint),
            (Blame::Nobody, _) => return false,
        }
        true
    }
}

impl Pool {
    /// A provider's pool; the URL that is none, as the error. Empty keys, such as a template without a value, are left
    /// out.
    ///
    /// # Errors
    /// A URL that is no `http` or `https` one.
    pub fn new(config: &Provider) -> Result<Self, String> {
        let endpoints = config
            .urls()
            .map(|url| match Upstream::parse(url) {
                Some(upstream) => Ok((url.to_owned(), upstream)),
                None => Err(url.to_owned()),
            })
            .collect::<Result<Vec<_>, String>>()?;
        let keys: Vec<Key> = config
            .api_keys
            .iter()
            .filter(|key| !key.key.is_empty())
            .map(Key::new)
            .collect();
        let state = State {
            endpoints: endpoints
                .iter()
                .map(|_| Breaker::new(config.breaker))
                .collect(),
            keys: keys.iter().map(|_| KeyState::default()).collect(),
            keyless: endpoints.iter().map(|_| KeyState::default()).collect(),
            last_answered: 0,
        };
        Ok(Self {
            provider: config.name.clone(),
            endpoints,
            keys,
            state: Mutex::new(state),
        })
    }

    /// The provider's name.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Where an endpoint is.
    pub fn upstream(&self, way: Way) -> Option<&Upstream> {
        self.endpoints
            .get(way.endpoint)
            .map(|(_, upstream)| upstream)
    }

    /// A way's key.
    pub fn key(&self, way: Way) -> Option<&Key> {
        self.keys.get(way.key?)
    }

    /// All keys.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Hosts and ports of all endpoints.
    pub fn authorities(&self) -> impl Iterator<Item = &str> {
        self.endpoints
            .iter()
            .map(|(_, upstream)| upstream.authority.as_str())
    }

    /// Says how a call on a way went. What other instances should know comes back.
    pub fn report(&self, now: Duration, way: Way, outcome: Outcome) -> Vec<Transition> {
        let Ok(mut state) = self.state.lock() else {
            return Vec::new();
        };
        let State {
            endpoints,
            keys,
            keyless,
            last_answered,
        } = &mut *state;
        let Some(breaker) = endpoints.get_mut(way.endpoint) else {
            return Vec::new();
        };
        let answered = match outcome {
            Outcome::Served => true,
            Outcome::Failed(failure, _) => failure.blame() == Blame::Key,
            Outcome::Unknown => false,
        };
        if answered {
            *last_answered = way.endpoint;
        }
        let key = way.key.and_then(|place| keys.get_mut(place));
        let (of_endpoint, of_key) = match outcome {
            Outcome::Unknown => {
                breaker.forget();
                (None, None)
            }
            Outcome::Served => {
                // Without keys nobody probes: who has served takes calls again, as one has just ended, and says 403 to
                // what was asked.
                if self.keys.is_empty()
                    && let Some(keyless) = keyless.get_mut(way.endpoint)
                {
                    *keyless = KeyState::default();
                    keyless.vouch(now);
                }
                // A key of last resort that serves is one again.
                let was_out = key.is_some_and(|key| key.is_out(now) && key.vouch(now));
                (breaker.succeeded(), was_out.then_some(None))
            }
            Outcome::Failed(failure, retry_after) => match failure.blame() {
                Blame::Endpoint => (breaker.failed(now), None),
                Blame::Nobody => {
                    breaker.forget();
                    (None, None)
                }
                Blame::Key => {
                    let fault = key_fault(failure, retry_after);
                    let told = match (key, keyless.get_mut(way.endpoint)) {
                        (Some(key), _) => key.blame(now, fault),
                        (None, Some(keyless)) => {
                            keyless.blame_without_key(now, fault);
                            None
                        }
                        (None, None) => None,
                    };
                    // Whoever turns a key away serves.
                    (breaker.succeeded(), told.map(Some))
                }
            },
        };
        let open_for = breaker.open_for();
        let of_endpoint = of_endpoint.and_then(|change| {
            let (url, _) = self.endpoints.get(way.endpoint)?;
            let to = match change {
                Change::Opened => Some((SharedState::Open, open_for)),
                Change::Closed => None,
            };
            Some(self.transition(Subject::Endpoint(url.clone()), to))
        });
        let of_key = of_key.and_then(|told| self.of_key(way, told));
        of_endpoint.into_iter().chain(of_key).collect()
    }

    /// A key whose time to be probed has come, and why: on this way.
    pub fn take_probe(&self, now: Duration) -> Option<(Way, ProbeKind)> {
        let mut state = self.state.lock().ok()?;
        let State {
            endpoints,
            keys,
            last_answered,
            ..
        } = &mut *state;
        let (key, kind) = keys
            .iter_mut()
            .enumerate()
            .find_map(|(place, key)| Some((place, key.take_probe(now)?)))?;
        let allows = |place: &usize| {
            endpoints
                .get(*place)
                .is_some_and(|breaker| breaker.allows(now))
        };
        let endpoint = std::iter::once(*last_answered)
            .chain(0..endpoints.len())
            .find(allows)
            .unwrap_or_default();
        let way = Way {
            endpoint,
            key: Some(key),
        };
        Some((way, kind))
    }

    /// Takes over what a probe found. What other instances should know comes back.
    pub fn probed(&self, now: Duration, way: Way, found: Probed) -> Option<Transition> {
        let mut state = self.state.lock().ok()?;
        let told = state.keys.get_mut(way.key?)?.probed(now, found)?;
        self.of_key(way, told)
    }

    /// Says that the store has an entry by now.
    pub fn shared(&self, now: Duration, subject: &Subject) {
        let Ok(mut state) = self.state.lock() else {
            return;
        };
        match subject {
            Subject::Endpoint(url) => {
                let place = self.endpoints.iter().position(|(own, _)| own == url);
                if let Some(breaker) = place.and_then(|place| state.endpoints.get_mut(place)) {
                    breaker.shared(now);
                }
            }
            Subject::Key(digest) => {
                let place = self.keys.iter().position(|key| key.digest == *digest);
                if let Some(key) = place.and_then(|place| state.keys.get_mut(place)) {
                    key.shared(now);
                }
            }
        }
    }

    /// Takes over what the store has, all of it, read from `read_began` to `now`.
    pub fn merge(&self, now: Duration, read_began: Duration, entries: &[SharedEntry]) {
        let Ok(mut state) = self.state.lock() else {
            return;
        };
        let found = |wanted: &Subject| {
            entries
                .iter()
                .find(|entry| entry.subject == *wanted)
                .map(|entry| (entry.state == SharedState::Out, entry.rest))
        };
        for ((url, _), breaker) in self.endpoints.iter().zip(&mut state.endpoints) {
            let told = found(&Subject::Endpoint(url.clone()));
            breaker.merge(now, read_began, told.map(|(_, rest)| rest));
        }
        for (key, known) in self.keys.iter().zip(&mut state.keys) {
            known.merge(now, read_began, found(&Subject::Key(key.digest.clone())));
        }
    }

    fn of_key(&self, way: Way, told: Option<(bool, Duration)>) -> Option<Transition> {
        let subject = Subject::Key(self.key(way)?.digest.clone());
        let to = told.map(|(is_out, time)| {
            let state = if is_out {
                SharedState::Out
            } else {
                SharedState::Cooling
            };
            (state, time)
        });
        Some(self.transition(subject, to))
    }

    fn transition(&self, subject: Subject, to: Option<(SharedState, Duration)>) -> Transition {
        Transition {
            provider: self.provider.clone(),
            subject,
            to,
        }
    }
}

fn key_fault(failure: Failure, retry_after: Option<Duration>) -> KeyFault {
    match failure {
        Failure::Status(401) => KeyFault::Unknown,
        Failure::Status(402) => KeyFault::Unpaid,
        Failure::Status(403) => KeyFault::Forbidden,
        _ => KeyFault::Limited(retry_after),
    }
}
