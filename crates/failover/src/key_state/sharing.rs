//! What other instances know of a key.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Aside, KeyState, Out, PROBE_EVERY, Why};
use crate::{ProbeKind, SharedState};

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
        entries: impl Iterator<Item = (Option<&'e str>, SharedState, Duration)>,
    ) {
        let mut out = None;
        let mut told = BTreeMap::new();
        for (consumer, state, rest) in entries {
            match (consumer, state) {
                (None, SharedState::Out) => out = Some(rest),
                (Some(consumer), SharedState::Cooling) => {
                    told.insert(consumer, (Why::Cooling, rest));
                }
                (Some(consumer), SharedState::Suspect) => {
                    told.insert(consumer, (Why::Suspect { is_unknown: true }, rest));
                }
                // Of another release.
                _ => {}
            }
        }
        self.merge_out(now, read_began, out);
        let is_gone = |since: Option<Duration>| since.is_some_and(|since| since < read_began);
        self.consumers.retain(|consumer, aside| {
            !aside.is_over(now)
                && (told.contains_key(consumer.as_str()) || !is_gone(aside.shared_since))
        });
        for (consumer, (why, rest)) in told {
            let until = now.saturating_add(rest);
            let own = self.consumers.get(consumer);
            let is_news = own.is_none_or(|own| match (own.why, why) {
                (Why::Suspect { .. }, Why::Cooling) => true,
                (Why::Cooling, Why::Suspect { .. }) => false,
                _ => own.until < until,
            });
            if is_news {
                let aside = Aside {
                    why,
                    since: own.map_or(now, |own| own.since),
                    until,
                    shared_since: Some(now),
                };
                self.consumers.insert(consumer.to_owned(), aside);
            }
        }
    }

    fn merge_out(&mut self, now: Duration, read_began: Duration, told: Option<Duration>) {
        match (told, self.out) {
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
