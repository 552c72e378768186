//! The endpoint with the fewest calls in flight.
//!
//! **Rule.** Of those that may be picked, the one with the fewest calls that this instance has sent and not seen the end
//! of; among equals the one whose turn it is, so that idle endpoints are used in turn. All are looked at: providers have
//! a handful of endpoints, and Envoy's two random choices (its `LEAST_REQUEST`) are meant for hundreds.
//! **Guarantee.** Picks that fall together do not go to one endpoint: a pick counts from when it is made. What another
//! instance has in flight is not seen. **Cost.** One atomic number an endpoint.

use std::sync::atomic::{AtomicU32, Ordering};

use super::PickContext;
use super::round_robin::rotated;

/// The endpoint with the fewest calls in flight.
#[derive(Debug)]
pub struct LeastRequest {
    in_flight: Vec<AtomicU32>,
}

impl LeastRequest {
    pub(super) fn new(endpoint_count: usize) -> Self {
        let in_flight = (0..endpoint_count).map(|_| AtomicU32::new(0)).collect();
        Self { in_flight }
    }

    pub(super) fn pick(&self, context: &PickContext<'_>) -> Option<usize> {
        let in_flight = |place: &usize| {
            let count = self.in_flight.get(*place);
            count.map_or(0, |count| count.load(Ordering::Relaxed))
        };
        let picked = rotated(context).min_by_key(in_flight)?;
        if let Some(count) = self.in_flight.get(picked) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        Some(picked)
    }

    pub(super) fn leave(&self, endpoint: usize) {
        if let Some(count) = self.in_flight.get(endpoint) {
            let left = |count: u32| Some(count.saturating_sub(1));
            // Never fails: every count has one that is lower.
            let _ = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
        }
    }
}
