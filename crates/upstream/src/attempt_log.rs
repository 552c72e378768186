//! A call's attempts as they are made: also those of a call that is given up on its way.

use std::sync::Mutex;
use std::time::Duration;

use crate::{AttemptRecord, Failure};

/// What attempts a call has made, the one that is under way among them. Whoever tells of the call keeps it, as the loop
/// that makes them is gone where a call is given up.
#[derive(Debug, Default)]
pub struct AttemptLog(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    records: Vec<AttemptRecord>,
    /// When the last began, while it is under way.
    under_way: Option<Duration>,
}

impl AttemptLog {
    /// Every attempt in order. One that is under way has failed by nothing yet.
    pub fn records(&self, now: Duration) -> Vec<AttemptRecord> {
        let Ok(entries) = self.0.lock() else {
            return Vec::new();
        };
        let mut records = entries.records.clone();
        if let (Some(began), Some(last)) = (entries.under_way, records.last_mut()) {
            last.milliseconds = milliseconds(began, now);
        }
        records
    }

    /// How many attempts there are.
    pub fn count(&self) -> usize {
        self.0.lock().map_or(0, |entries| entries.records.len())
    }

    /// How the last one failed.
    pub fn last_failure(&self) -> Option<Failure> {
        let entries = self.0.lock().ok()?;
        entries.records.last()?.failure
    }

    pub(crate) fn begin(&self, record: AttemptRecord, now: Duration) {
        if let Ok(mut entries) = self.0.lock() {
            entries.records.push(record);
            entries.under_way = Some(now);
        }
    }

    pub(crate) fn end(&self, now: Duration, failure: Option<Failure>, detail: Option<String>) {
        if let Ok(mut entries) = self.0.lock()
            && let Some(began) = entries.under_way.take()
            && let Some(last) = entries.records.last_mut()
        {
            last.milliseconds = milliseconds(began, now);
            last.failure = failure;
            last.detail = detail;
        }
    }

    /// The attempt under way ends so, and another like it begins. How long the first part took counts as the second's,
    /// too: it is one attempt for the provider's pool.
    pub(crate) fn repeat(&self, now: Duration, failure: Failure, detail: String) {
        let Ok(mut entries) = self.0.lock() else {
            return;
        };
        let (Some(began), Some(last)) = (entries.under_way, entries.records.last_mut()) else {
            return;
        };
        let again = last.clone();
        last.milliseconds = milliseconds(began, now);
        last.failure = Some(failure);
        last.detail = Some(detail);
        entries.records.push(again);
    }
}

fn milliseconds(began: Duration, now: Duration) -> u64 {
    u64::try_from(now.saturating_sub(began).as_millis()).unwrap_or(u64::MAX)
}
