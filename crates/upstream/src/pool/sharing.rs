//! What other instances know of a provider's endpoints and keys.

use std::time::Duration;

use super::Pool;
use crate::{SharedEntry, Subject, Thing};

impl Pool {
    /// Says that the store has an entry by now.
    pub fn shared(&self, now: Duration, subject: &Subject) {
        let Ok(mut state) = self.state.lock() else {
            return;
        };
        let consumer = subject.consumer.as_deref();
        match &subject.thing {
            Thing::Endpoint(url) => {
                let place = self.endpoints.iter().position(|(own, _)| own == url);
                if let Some(endpoint) = place.and_then(|place| state.endpoints.get_mut(place)) {
                    endpoint.shared(now, consumer);
                }
            }
            Thing::Key(digest) => {
                let place = self.keys.iter().position(|key| key.digest == *digest);
                if let Some(key) = place.and_then(|place| state.keys.get_mut(place)) {
                    key.shared(now, consumer);
                }
            }
        }
    }

    /// Takes over what the store has, all of it, read from `read_began` to `now`.
    pub fn merge(&self, now: Duration, read_began: Duration, entries: &[SharedEntry]) {
        let Ok(mut state) = self.state.lock() else {
            return;
        };
        for ((url, _), endpoint) in self.endpoints.iter().zip(&mut state.endpoints) {
            let own = entries.iter().filter(
                |entry| matches!(&entry.subject.thing, Thing::Endpoint(other) if other == url),
            );
            endpoint.merge(now, read_began, own);
        }
        for (key, known) in self.keys.iter().zip(&mut state.keys) {
            let own = entries.iter().filter(
                |entry| matches!(&entry.subject.thing, Thing::Key(other) if *other == key.digest),
            );
            let shared = own.map(|entry| (entry.subject.consumer.as_deref(), entry));
            known.merge(now, read_began, shared);
        }
    }
}
