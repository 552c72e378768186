//! One of a provider's endpoints, and for whom it is ejected.
//!
//! ```text
//!   a consumer's 500, timeout, reset, … ──▶ the consumer's own breaker ──▶ ejected for this consumer
//!                                              │ opened: a probe
//!                                              ▼
//!   no connection, a failed probe ─────────▶ the breaker of everybody ──▶ ejected for everybody
//! ```
//!
//! What a client can cause by what it writes opens nothing but its consumer's own breaker. What no client can cause, no
//! connection, opens the one of everybody. Between them stands the probe, `GET /models` without anything of a client's:
//! where it fails, too, the endpoint is to blame. Two consumers whose breakers are open count as a failed probe
//! ([`agreed_until`]), for an engine may list its models and answer nothing else; a consumer whose own breaker is not
//! closed goes by that one alone, so that it can find out when the endpoint is well again.
//!
//! What another instance found before a call of this one closed a breaker is no news: a read of the store may be under way
//! meanwhile, and come back with it.
//!
//! At most one breaker a consumer of the configuration is kept, while it has a failure to remember.

use std::collections::BTreeMap;
use std::time::Duration;

use spillway_config::CircuitBreaker;

use crate::agreement::agreed_until;
use crate::breaker::{Breaker, Change};
use crate::{Failure, SharedEntry};

/// An endpoint is not probed more often.
const PROBE_GAP: Duration = Duration::from_secs(10);

/// One of a provider's endpoints.
#[derive(Debug)]
pub(crate) struct Endpoint {
    rule: CircuitBreaker,
    everybody: Breaker,
    consumers: BTreeMap<String, Breaker>,
    /// When a call was served last.
    last_served: Option<Duration>,
    /// Some consumer's breaker has opened: when a probe should tell whether the endpoint is to blame.
    probe_at: Option<Duration>,
    probed_at: Option<Duration>,
    /// When this instance closed a breaker last: a consumer's, or that of everybody.
    closed_at: BTreeMap<Option<String>, Duration>,
}

/// What has changed: for this consumer, or for everybody.
pub(crate) type EndpointChange = (Option<String>, Change);

impl Endpoint {
    pub fn new(rule: CircuitBreaker) -> Self {
        Self {
            rule,
            everybody: Breaker::new(rule),
            consumers: BTreeMap::new(),
            last_served: None,
            probe_at: None,
            probed_at: None,
            closed_at: BTreeMap::new(),
        }
    }

    /// How long it is ejected.
    pub fn open_for(&self) -> Duration {
        self.everybody.open_for()
    }

    /// Whether a call of this consumer may go there.
    pub fn allows(&self, now: Duration, consumer: &str) -> bool {
        let own = self.consumers.get(consumer);
        self.everybody.allows(now, consumer)
            && match own.filter(|own| !own.is_closed()) {
                Some(own) => own.allows(now, consumer),
                None => self.agreed_until(now).is_none(),
            }
    }

    /// Whether everybody may go there, as far as is known for all.
    pub fn allows_probe(&self, now: Duration) -> bool {
        self.everybody.open_since(now).is_none()
    }

    fn agreed_until(&self, now: Duration) -> Option<Duration> {
        let open = self.consumers.values();
        agreed_until(
            open.filter_map(|breaker| breaker.open_since(now)),
            self.last_served,
        )
    }

    /// Says that a call of this consumer is going there.
    pub fn enter(&mut self, now: Duration, consumer: &str) {
        self.everybody.enter(now, consumer);
        if let Some(own) = self.consumers.get_mut(consumer) {
            own.enter(now, consumer);
        }
    }

    /// Says that a call was served.
    pub fn served(&mut self, now: Duration, consumer: &str) -> Vec<EndpointChange> {
        self.last_served = Some(now);
        self.answered(now, consumer)
    }

    /// Says that the endpoint is there: whoever turns a key away is.
    pub fn answered(&mut self, now: Duration, consumer: &str) -> Vec<EndpointChange> {
        let of_all = self.everybody.succeeded().map(|change| (None, change));
        let own = self.consumers.get_mut(consumer).and_then(|own| {
            let change = own.succeeded()?;
            Some((Some(consumer.to_owned()), change))
        });
        if self.consumers.get(consumer).is_some_and(Breaker::is_blank) {
            self.consumers.remove(consumer);
        }
        let changes: Vec<EndpointChange> = of_all.into_iter().chain(own).collect();
        self.note_closed(now, &changes);
        changes
    }

    fn note_closed(&mut self, now: Duration, changes: &[EndpointChange]) {
        let closed = changes
            .iter()
            .filter(|(_, change)| *change == Change::Closed);
        let closed_at = closed.map(|(whose, _)| (whose.clone(), now));
        self.closed_at.extend(closed_at);
    }

    /// Says that a call of this consumer has failed by the endpoint's fault, as far as the call can tell.
    pub fn failed(
        &mut self,
        now: Duration,
        consumer: &str,
        failure: Failure,
    ) -> Vec<EndpointChange> {
        if failure == Failure::ConnectError {
            // A trial of the consumer's own has failed as well.
            let own = self.consumers.get_mut(consumer);
            let own = own.filter(|own| !own.is_closed());
            let of_own = own.and_then(|own| own.failed(now));
            let of_all = self.everybody.failed(now).map(|change| (None, change));
            let of_own = of_own.map(|change| (Some(consumer.to_owned()), change));
            return of_all.into_iter().chain(of_own).collect();
        }
        self.everybody.forget(consumer);
        let own = self
            .consumers
            .entry(consumer.to_owned())
            .or_insert_with(|| Breaker::new(self.rule));
        let Some(change) = own.failed(now) else {
            return Vec::new();
        };
        let earliest = self.probed_at.map(|at| at.saturating_add(PROBE_GAP));
        self.probe_at = Some(earliest.unwrap_or(now).max(now));
        vec![(Some(consumer.to_owned()), change)]
    }

    /// Says that a call of this consumer tells nothing.
    pub fn forget(&mut self, consumer: &str) {
        self.everybody.forget(consumer);
        if let Some(own) = self.consumers.get_mut(consumer) {
            own.forget(consumer);
        }
    }

    /// Whether it should be probed now.
    pub fn begin_probe(&mut self, now: Duration) -> bool {
        let is_due = self.probe_at.is_some_and(|at| now >= at);
        if !is_due {
            return false;
        }
        self.probe_at = None;
        let is_open = |breaker: &Breaker| breaker.open_since(now).is_some();
        let is_worth_it = !is_open(&self.everybody) && self.consumers.values().any(is_open);
        if is_worth_it {
            self.probed_at = Some(now);
        }
        is_worth_it
    }

    /// Takes over what a probe found that was sent because a consumer's breaker had opened.
    pub fn probed(&mut self, now: Duration, is_there: bool) -> Option<EndpointChange> {
        let change = if is_there {
            self.everybody.succeeded()
        } else {
            self.everybody.open(now)
        };
        let changed = change.map(|change| (None, change));
        self.note_closed(now, changed.as_slice());
        changed
    }

    /// Says that other instances know what has changed.
    pub fn shared(&mut self, now: Duration, consumer: Option<&str>) {
        let breaker = match consumer {
            None => Some(&mut self.everybody),
            Some(consumer) => self.consumers.get_mut(consumer),
        };
        if let Some(breaker) = breaker {
            breaker.shared(now);
        }
    }

    /// Takes over what the store says, all of it: for whom it is open.
    pub fn merge<'e>(
        &mut self,
        now: Duration,
        read_began: Duration,
        entries: impl Iterator<Item = &'e SharedEntry>,
    ) {
        // No breaker is open for longer.
        let open_for = self.open_for();
        self.closed_at
            .retain(|_, at| now.saturating_sub(*at) <= open_for);
        let (mut of_all, mut of_consumers) = (None, BTreeMap::new());
        for entry in entries {
            let consumer = &entry.subject.consumer;
            let since = now.saturating_sub(entry.age);
            let is_old = self.closed_at.get(consumer).is_some_and(|at| *at >= since);
            match consumer.as_deref() {
                _ if is_old => {}
                None => of_all = Some(entry.rest),
                Some(consumer) => {
                    of_consumers.insert(consumer, entry.rest);
                }
            }
        }
        self.everybody.merge(now, read_began, of_all);
        for consumer in of_consumers.keys() {
            if !self.consumers.contains_key(*consumer) {
                let breaker = Breaker::new(self.rule);
                self.consumers.insert((*consumer).to_owned(), breaker);
            }
        }
        self.consumers.retain(|consumer, breaker| {
            let rest = of_consumers.get(consumer.as_str()).copied();
            breaker.merge(now, read_began, rest);
            !breaker.is_blank()
        });
    }
}
