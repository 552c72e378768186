//! Tells the operator of refusals, but not of each: under an attack there are thousands a second.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::log_lines::{warn, warn_of};

/// How often one thing is told.
const PAUSE: Duration = Duration::from_secs(10);

/// What was told when.
#[derive(Debug, Default)]
pub struct Refusals {
    repeated: Mutex<HashMap<String, Repeated>>,
}

#[derive(Debug)]
struct Repeated {
    at: Instant,
    unlogged: u64,
}

impl Refusals {
    /// Requests for a component were answered 503.
    pub fn overloaded(&self, component: &str, why: &str) {
        if let Some(before) = self.is_news(component) {
            warn_of(component, &format!("503: {why}{}", and_before(before)));
        }
    }

    /// A client's connection was closed because it has all that it may.
    pub fn too_many_connections(&self, client: IpAddr, limit: usize) {
        // One line for all clients: their number is theirs to choose.
        if let Some(before) = self.is_news("connections") {
            warn(&format!(
                "a connection of {client} was closed: one client holds {limit} at most (--max-connections-per-client; proxies belong into `trusted_proxies`){}",
                and_before(before)
            ));
        }
    }

    /// How many there were since it was last told, if it is to be told now.
    fn is_news(&self, what: &str) -> Option<u64> {
        let mut repeated = self.repeated.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match repeated.get_mut(what) {
            Some(last) if now.saturating_duration_since(last.at) < PAUSE => {
                last.unlogged = last.unlogged.saturating_add(1);
                None
            }
            Some(last) => {
                last.at = now;
                Some(std::mem::take(&mut last.unlogged))
            }
            None => {
                repeated.insert(
                    what.to_owned(),
                    Repeated {
                        at: now,
                        unlogged: 0,
                    },
                );
                Some(0)
            }
        }
    }
}

fn and_before(count: u64) -> String {
    if count == 0 {
        String::new()
    } else {
        format!(" ({count} more since this was last told)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_just_told_is_counted() {
        let refusals = Refusals::default();
        assert_eq!(refusals.is_news("model"), Some(0));
        assert_eq!(refusals.is_news("model"), None);
        assert_eq!(refusals.is_news("ingress"), Some(0));
        assert_eq!(refusals.repeated.lock().unwrap()["model"].unlogged, 1);
    }
}
