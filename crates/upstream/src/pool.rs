//! A provider's endpoints and keys, and which of them are ejected.

mod choosing;
mod picking;
mod probing;
mod sharing;

use std::sync::Mutex;
use std::time::Duration;

use spillway_config::Provider;
use spillway_platform::Upstream;

use crate::breaker::Change;
use crate::endpoint::{Endpoint, EndpointChange};
use crate::key::Key;
use crate::key_state::{KeyChange, KeyFault, KeyState};
use crate::{Blame, Failure, LoadBalancer, Pick, SharedState, Subject, Thing, Transition};

/// A provider's endpoints and keys.
#[derive(Debug)]
pub struct Pool {
    provider: String,
    endpoints: Vec<(String, Upstream)>,
    keys: Vec<Key>,
    balancer: LoadBalancer,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    endpoints: Vec<Endpoint>,
    keys: Vec<KeyState>,
    /// Where the provider has no keys: what each endpoint said against those who come without one.
    keyless: Vec<KeyState>,
    /// The endpoint that answered last.
    last_answered: usize,
}

/// What a call has found to be at fault already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Excluded {
    endpoints: Vec<usize>,
    keys: Vec<usize>,
}

/// How a call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// It served.
    Served,
    /// It failed; with the time that the provider asked to be left alone for.
    Failed(Failure, Option<Duration>),
    /// It tells nothing: the client left first.
    Unknown,
}

impl Excluded {
    /// Notes who is to blame. `false` where nobody is, so that another endpoint or credential would be no better.
    pub fn note(&mut self, pick: Pick, blame: Blame) -> bool {
        match (blame, pick.credential) {
            (Blame::Key, Some(key)) => self.keys.push(key),
            // Without a key it is the endpoint that takes no more calls.
            (Blame::Endpoint, _) | (Blame::Key, None) => self.endpoints.push(pick.endpoint),
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
                .map(|_| Endpoint::new(config.breaker))
                .collect(),
            keys: keys.iter().map(|_| KeyState::default()).collect(),
            keyless: endpoints.iter().map(|_| KeyState::default()).collect(),
            last_answered: 0,
        };
        Ok(Self {
            provider: config.name.clone(),
            balancer: LoadBalancer::new(config.load_balance.lb_policy, endpoints.len()),
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
    pub fn upstream(&self, pick: Pick) -> Option<&Upstream> {
        self.endpoints
            .get(pick.endpoint)
            .map(|(_, upstream)| upstream)
    }

    /// The key that was picked.
    pub fn key(&self, pick: Pick) -> Option<&Key> {
        self.keys.get(pick.credential?)
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

    /// Says how a consumer's call went that has only just been sent. What other instances should know comes
    /// back.
    pub fn report(
        &self,
        now: Duration,
        consumer: &str,
        pick: Pick,
        outcome: AttemptOutcome,
    ) -> Vec<Transition> {
        self.report_sent(now, now, consumer, pick, outcome)
    }

    /// The same of a call that was sent at `sent`.
    pub fn report_sent(
        &self,
        now: Duration,
        sent: Duration,
        consumer: &str,
        pick: Pick,
        outcome: AttemptOutcome,
    ) -> Vec<Transition> {
        self.balancer.report(pick.endpoint, outcome);
        let Ok(mut state) = self.state.lock() else {
            return Vec::new();
        };
        let State {
            endpoints,
            keys,
            keyless,
            last_answered,
        } = &mut *state;
        let Some(endpoint) = endpoints.get_mut(pick.endpoint) else {
            return Vec::new();
        };
        let key = pick.credential.and_then(|place| keys.get_mut(place));
        let keyless = keyless.get_mut(pick.endpoint);
        let (of_endpoint, of_key) = match outcome {
            AttemptOutcome::Unknown => {
                endpoint.forget(consumer);
                (Vec::new(), Vec::new())
            }
            AttemptOutcome::Served => {
                *last_answered = pick.endpoint;
                let of_key = match (key, keyless) {
                    (Some(key), _) => key.served(now, sent, consumer),
                    (None, Some(keyless)) => {
                        keyless.served_without_key(now);
                        Vec::new()
                    }
                    (None, None) => Vec::new(),
                };
                (endpoint.served(now, consumer), of_key)
            }
            AttemptOutcome::Failed(failure, retry_after) => match failure.blame() {
                Blame::Endpoint => (endpoint.failed(now, consumer, failure), Vec::new()),
                Blame::Nobody => {
                    endpoint.forget(consumer);
                    (Vec::new(), Vec::new())
                }
                Blame::Key => {
                    *last_answered = pick.endpoint;
                    let fault = KeyFault::of(failure, retry_after);
                    let of_key = match (key, keyless) {
                        (Some(key), _) => key.blame(now, consumer, fault),
                        (None, Some(keyless)) => {
                            keyless.blame_without_key(now, consumer, fault);
                            None
                        }
                        (None, None) => None,
                    };
                    // Whoever turns a key away serves.
                    (
                        endpoint.answered(now, consumer),
                        of_key.into_iter().collect(),
                    )
                }
            },
        };
        let open_for = endpoint.open_for();
        let mut transitions = self.of_endpoint(pick, open_for, of_endpoint);
        transitions.extend(self.of_key(pick, of_key));
        transitions
    }

    fn of_endpoint(
        &self,
        pick: Pick,
        open_for: Duration,
        changes: impl IntoIterator<Item = EndpointChange>,
    ) -> Vec<Transition> {
        let Some((url, _)) = self.endpoints.get(pick.endpoint) else {
            return Vec::new();
        };
        let transition = |(consumer, change)| {
            let to = match change {
                Change::Opened => Some((SharedState::Open, open_for)),
                Change::Closed => None,
            };
            self.transition(Thing::Endpoint(url.clone()), consumer, to)
        };
        changes.into_iter().map(transition).collect()
    }

    fn of_key(&self, pick: Pick, changes: Vec<KeyChange>) -> Vec<Transition> {
        let Some(key) = self.key(pick) else {
            return Vec::new();
        };
        let transition =
            |(consumer, to)| self.transition(Thing::Key(key.digest.clone()), consumer, to);
        changes.into_iter().map(transition).collect()
    }

    fn transition(
        &self,
        thing: Thing,
        consumer: Option<String>,
        to: Option<(SharedState, Duration)>,
    ) -> Transition {
        Transition {
            provider: self.provider.clone(),
            subject: Subject { thing, consumer },
            to,
        }
    }
}
