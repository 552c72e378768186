//! Ordered targets: which one comes next, and whether a failure leads on to it.
//! Must not know how a target is called, nor what its answer means.

use std::borrow::Cow;
use std::time::Duration;

use spillway_config::{Fallback, FallbackCondition, StatusPattern};
use spillway_platform::SendError;

/// How an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Refused, no such name, no connection in time, or a host the runtime does not allow.
    ConnectError,
    /// No head, or no further byte, in time.
    Timeout,
    /// A stream without content in time.
    FirstTokenTimeout,
    /// The connection broke, or what came was no HTTP or no JSON.
    Reset,
    /// The answer ended before it was complete, or was empty.
    Truncated,
    /// A status that tells of an error (or a success that carried an error object, as 502).
    Status(u16),
}

impl Failure {
    /// The name in metrics and logs.
    pub fn label(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::ConnectError => "connect_error",
            Self::Timeout => "timeout",
            Self::FirstTokenTimeout => "first_token_timeout",
            Self::Reset => "reset",
            Self::Truncated => "truncated",
            Self::Status(status) => return Cow::Owned(status.to_string()),
        })
    }

    fn meets(self, condition: FallbackCondition) -> bool {
        match (condition, self) {
            (FallbackCondition::ConnectError, Self::ConnectError)
            | (FallbackCondition::Timeout, Self::Timeout)
            | (FallbackCondition::FirstTokenTimeout, Self::FirstTokenTimeout)
            | (FallbackCondition::Reset, Self::Reset)
            | (FallbackCondition::Truncated, Self::Truncated) => true,
            (FallbackCondition::Status(StatusPattern::Exact(wanted)), Self::Status(status)) => {
                wanted == status
            }
            (FallbackCondition::Status(StatusPattern::Class(digit)), Self::Status(status)) => {
                status / 100 == digit
            }
            _ => false,
        }
    }
}

impl From<&SendError> for Failure {
    fn from(error: &SendError) -> Self {
        match error {
            SendError::Connect(_) | SendError::ConnectTimeout | SendError::HostNotAllowed => {
                Self::ConnectError
            }
            SendError::FirstByteTimeout | SendError::BetweenBytesTimeout => Self::Timeout,
            SendError::Reset(_) | SendError::Other(_) => Self::Reset,
        }
    }
}

/// One call's way through its targets, in order, each at most once.
#[derive(Debug)]
pub struct Chain<'a> {
    fallback: &'a Fallback,
    targets: usize,
    attempts: usize,
}

impl<'a> Chain<'a> {
    /// A call with so many targets to try.
    pub fn new(targets: usize, fallback: &'a Fallback) -> Self {
        Self {
            fallback,
            targets,
            attempts: 0,
        }
    }

    /// The next target's index; `None` when all were tried, `max_attempts` is reached, or `elapsed` (since the
    /// call's arrival) is past the deadline. The first attempt is always granted.
    pub fn next(&mut self, elapsed: Duration) -> Option<usize> {
        let index = self.attempts;
        let most = match usize::try_from(self.fallback.max_attempts) {
            Ok(0) | Err(_) => self.targets,
            Ok(most) => most.min(self.targets),
        };
        if index >= most || (index > 0 && elapsed >= self.fallback.deadline.duration()) {
            return None;
        }
        self.attempts = self.attempts.saturating_add(1);
        Some(index)
    }

    /// Whether `failure` leads on to the next target.
    pub fn leads_on(&self, failure: Failure) -> bool {
        self.fallback
            .on
            .iter()
            .any(|condition| failure.meets(*condition))
    }

    /// How many targets have been tried.
    pub fn attempts(&self) -> usize {
        self.attempts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_come_in_order_once_and_within_bounds() {
        let mut fallback = Fallback::default();
        let mut chain = Chain::new(3, &fallback);
        let late = fallback.deadline.duration();
        assert_eq!(
            [chain.next(Duration::ZERO), chain.next(Duration::ZERO)],
            [Some(0), Some(1)]
        );
        assert_eq!(
            chain.next(late),
            None,
            "no attempt begins after the deadline"
        );
        assert_eq!(
            Chain::new(3, &fallback).next(late),
            Some(0),
            "the first is always granted"
        );
        fallback.max_attempts = 2;
        let mut chain = Chain::new(3, &fallback);
        let order: Vec<_> = std::iter::from_fn(|| chain.next(Duration::ZERO)).collect();
        assert_eq!(order, [0, 1]);
        assert_eq!(chain.attempts(), 2);
    }

    #[test]
    fn the_defaults_lead_on_for_faults_of_the_upstream_and_not_for_the_clients_own() {
        let fallback = Fallback::default();
        let chain = Chain::new(2, &fallback);
        for failure in [
            Failure::ConnectError,
            Failure::Timeout,
            Failure::FirstTokenTimeout,
            Failure::Reset,
            Failure::Truncated,
            Failure::Status(429),
            Failure::Status(500),
            Failure::Status(529),
        ] {
            assert!(chain.leads_on(failure), "{failure:?}");
        }
        for status in [400, 401, 403, 404, 413, 422] {
            assert!(!chain.leads_on(Failure::Status(status)), "{status}");
        }
    }

    #[test]
    fn only_what_is_listed_leads_on() {
        let fallback = Fallback {
            on: vec![FallbackCondition::Timeout],
            ..Fallback::default()
        };
        let chain = Chain::new(2, &fallback);
        assert!(chain.leads_on(Failure::Timeout));
        assert!(!chain.leads_on(Failure::ConnectError) && !chain.leads_on(Failure::Status(500)));
    }
}
