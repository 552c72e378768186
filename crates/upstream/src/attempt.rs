//! One attempt of a call: what it is sent with and to, and what is known of it in the end.

use std::sync::Arc;
use std::time::Duration;

use spillway_platform::Upstream;

use crate::{AttemptLog, AttemptOutcome, Failure, Pick, Pool, Transition};

/// One attempt and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    /// The provider's name.
    pub provider: String,
    /// The model as the configuration names it, `as_asked` where it does not.
    pub model: String,
    /// The endpoint: scheme, host and port. For the operator alone.
    pub endpoint: String,
    /// The key's digest; `None`: none was sent.
    pub key: Option<String>,
    /// `None`: it served, or is under way.
    pub failure: Option<Failure>,
    /// How long it took, or has taken so far, in milliseconds.
    pub milliseconds: u64,
    /// The runtime's words, for the operator's log: they may hold addresses.
    pub detail: Option<String>,
}

/// Why an attempt failed before anything of an answer had gone out, with the reply to the client should it be the last.
#[derive(Debug)]
pub struct AttemptError<R> {
    /// How, and by it whose fault.
    pub failure: Failure,
    /// What the client gets.
    pub reply: R,
    /// For the operator's log alone.
    pub detail: Option<String>,
    /// How long the provider asked to be left alone.
    pub retry_after: Option<Duration>,
}

impl<R> AttemptError<R> {
    /// With a reply to the client.
    pub fn new(failure: Failure, reply: R) -> Self {
        Self {
            failure,
            reply,
            detail: None,
            retry_after: None,
        }
    }

    /// With no more than that to say.
    pub fn bare(failure: Failure) -> Self
    where
        R: Default,
    {
        Self::new(failure, R::default())
    }
}

/// An attempt that is being made. The pool hears how it went, also where it is dropped.
#[derive(Debug)]
pub struct Attempt<'a, T> {
    /// The target.
    pub target: T,
    /// Which it is of the call's attempts, from 1 on.
    pub number: u32,
    /// The call's first choice is being asked, for the first time.
    pub is_first_choice: bool,
    /// Until the call's deadline.
    pub time_left: Duration,
    /// How many targets there are to go, this one among them.
    pub targets_left: u32,
    pub(crate) began: Duration,
    log: &'a AttemptLog,
    pick: Pick,
    pool: &'a Arc<Pool>,
    upstream: &'a Upstream,
    consumer: &'a str,
    is_reported: bool,
}

/// Of what an attempt is made.
pub(crate) struct Picked<'a> {
    pub pool: &'a Arc<Pool>,
    pub pick: Pick,
    /// The model's name in metrics.
    pub model: &'a str,
    pub consumer: &'a str,
    pub log: &'a AttemptLog,
}

impl<'a, T> Attempt<'a, T> {
    /// Begins it, in the log too. `None` where there is no such endpoint.
    pub(crate) fn begin(picked: &Picked<'a>, target: T, now: Duration) -> Option<Self> {
        let upstream = picked.pool.upstream(picked.pick)?;
        let key = picked.pool.key(picked.pick);
        let record = AttemptRecord {
            provider: picked.pool.provider().to_owned(),
            model: picked.model.to_owned(),
            endpoint: upstream.origin(),
            key: key.map(|key| key.digest.clone()),
            failure: None,
            milliseconds: 0,
            detail: None,
        };
        picked.log.begin(record, now);
        Some(Self {
            upstream,
            target,
            number: u32::try_from(picked.log.count()).unwrap_or(u32::MAX),
            is_first_choice: true,
            time_left: Duration::ZERO,
            targets_left: 1,
            began: now,
            log: picked.log,
            pick: picked.pick,
            pool: picked.pool,
            consumer: picked.consumer,
            is_reported: false,
        })
    }

    /// Where it is sent.
    pub fn upstream(&self) -> &'a Upstream {
        self.upstream
    }

    /// The secret to send.
    pub fn secret(&self) -> Option<&'a str> {
        self.pool.key(self.pick).map(|key| key.secret.as_str())
    }

    /// Notes that it is made once more with the same credential at the same endpoint, without what was refused.
    pub fn repeats(&self, now: Duration, failure: Failure, detail: &str) {
        self.log.repeat(now, failure, detail.to_owned());
    }

    pub(crate) fn pick(&self) -> Pick {
        self.pick
    }

    pub(crate) fn pool(&self) -> &'a Arc<Pool> {
        self.pool
    }

    /// Tells the pool. What other instances should know comes back.
    pub(crate) fn report(&mut self, now: Duration, outcome: AttemptOutcome) -> Vec<Transition> {
        self.is_reported = true;
        let (pool, consumer) = (self.pool, self.consumer);
        pool.report_sent(now, self.began, consumer, self.pick, outcome)
    }
}

impl<T> Drop for Attempt<'_, T> {
    fn drop(&mut self) {
        if !self.is_reported {
            // Nothing that is done with this outcome looks at the time.
            let began = self.began;
            self.report(began, AttemptOutcome::Unknown);
        }
    }
}
