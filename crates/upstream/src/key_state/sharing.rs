//! What other instances know of a key.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{KeyState, MAX_COOLING_FOR_ALL, Out, PROBE_EVERY, Setback, Why};
use crate::{ProbeKind, SharedEntry, SharedState};

impl KeyState {
    /// Says that other instances know what has changed.
    pub fn shared(&mut self, now: Duration, consumer: Option<&str>) {
        let shared_since = match consumer {
            None => self.out.as_mut().map(|out| &mut out.shared_since),
            Some(consumer) => {
                let own = self.consumers.get_mut(consumer);
                own.map(|own| &mut own.shared_since)
            }
        };
        if let Some(shared_since) = shared_since {
            shared_since.get_or_insert(now);
        }
    }

    /// Takes over what the store says, all of it: what is the matter, for whom, and how much longer. `read_began` tells
    /// which news is older.
    pub fn merge<'e>(
        &mut self,
        now: Duration,
        read_began: Duration,
        entries: impl Iterator<Item = (Option<&'e str>, &'e SharedEntry)>,
    ) {
        let mut out = None;
        let mut shared = BTreeMap::new();
        // What was found before a probe of this instance's own found the key to be taken is no news: a read of the store
        // may be under way meanwhile.
        let confirmed_at = self.confirmed_at;
        let is_refuted = |entry: &SharedEntry| {
            let since = now.saturating_sub(entry.age);
            confirmed_at.is_some_and(|at| at >= since)
        };
        for (consumer, entry) in entries {
            match (consumer, entry.state) {
                (_, SharedState::Out | SharedState::Suspect) if is_refuted(entry) => {}
                (None, SharedState::Out) => out = Some(entry.rest),
                (Some(consumer), SharedState::Cooling) => {
                    shared.insert(consumer, (Why::Cooling, entry));
                }
                (Some(consumer), SharedState::Suspect) => {
                    shared.insert(consumer, (Why::Suspect { is_unknown: true }, entry));
                }
                (
                    None,
                    state @ (SharedState::Served | SharedState::Doubted | SharedState::Trusted),
                ) => self.merge_trust(now, state, entry.rest, entry.age),
                // Of another release.
                _ => {}
            }
        }
        self.merge_out(now, read_began, out);
        let is_gone = |since: Option<Duration>| since.is_some_and(|since| since < read_began);
        self.consumers.retain(|consumer, setback| {
            !setback.is_over(now)
                && (shared.contains_key(consumer.as_str()) || !is_gone(setback.shared_since))
        });
        for (consumer, (why, entry)) in shared {
            let until = now.saturating_add(entry.rest);
            let own = self.consumers.get(consumer);
            let is_news = own.is_none_or(|own| match (own.why, why) {
                (Why::Suspect { .. }, Why::Cooling) => true,
                (Why::Cooling, Why::Suspect { .. }) => false,
                _ => own.until < until,
            });
            if is_news {
                let rest_for_all = MAX_COOLING_FOR_ALL.saturating_sub(entry.age);
                let setback = Setback {
                    why,
                    since: own.map_or(now.saturating_sub(entry.age), |own| own.since),
                    until,
                    until_for_all: until.min(now.saturating_add(rest_for_all)),
                    shared_since: Some(now),
                };
                self.consumers.insert(consumer.to_owned(), setback);
            }
        }
    }

    fn merge_out(&mut self, now: Duration, read_began: Duration, shared: Option<Duration>) {
        match (shared, self.out) {
            (Some(rest), own) => {
                let until = now.saturating_add(rest);
                if own.is_none_or(|own| own.until < until) {
                    self.out = Some(Out {
                        until,
                        shared_since: Some(now),
                    });
                    let again = now.saturating_add(PROBE_EVERY);
                    self.probe.get_or_insert((ProbeKind::Out, again));
                }
            }
            (None, Some(own)) if own.shared_since.is_some_and(|since| since < read_began) => {
                self.out = None;
            }
            (None, _) => {}
        }
    }
}
