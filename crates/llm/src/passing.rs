//! A call whose answer is passed on as it is: tried like any other until the head of a success is there.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use spillway_platform::{Clock, Headers, SendError, Sender, Timeouts, Upstream};
use spillway_upstream::{Failure, Stop};

use crate::attempt_failure::{AttemptFailure, Told};
use crate::call::connect_timeout;
use crate::refusal::failure_of;
use crate::retry_after::retry_after;
use crate::tries::{Attempting, Next, Tries};
use crate::{Attempt, Call, CallAnswer, PoolWatch, Served, TargetPlace};

/// One attempt that is to be made.
#[derive(Debug, Clone, Copy)]
pub struct Passing<'a> {
    /// The target.
    pub place: &'a TargetPlace,
    /// Its endpoint.
    pub upstream: &'a Upstream,
    /// The key to send, where there is one.
    pub secret: Option<&'a str>,
    /// How long each phase may take.
    pub timeouts: Timeouts,
}

/// Why an attempt brought no answer that can be passed on.
#[derive(Debug)]
pub enum PassFailure {
    /// None came.
    Send(SendError),
    /// An error, with its body as far as it is one.
    Status {
        /// The status.
        status: StatusCode,
        /// Its header fields.
        headers: Headers,
        /// Its body.
        body: Bytes,
    },
    /// A redirect: where it leads is for the gateway's network.
    Redirect(StatusCode),
}

/// How such a call went.
#[derive(Debug)]
pub struct Passed<R> {
    /// The answer that is passed on, or what the client gets instead.
    pub outcome: Result<R, CallAnswer>,
    /// Who served, or refused last.
    pub served: Option<Served>,
    /// Every attempt in order.
    pub attempts: Vec<Attempt>,
    /// Why nothing more was tried, where nobody served.
    pub stop: Option<Stop>,
}

impl PassFailure {
    fn into_failure(self, upstream: &Upstream, since_1970: Duration) -> AttemptFailure {
        match self {
            Self::Send(error) => AttemptFailure::of_send(&error, upstream),
            Self::Redirect(status) => AttemptFailure::in_words(
                Failure::Reset,
                &format!(
                    "The provider answered with a redirect ({status}), which the gateway does not follow. Its `base_url` in gateway.yaml should be where that leads."
                ),
            ),
            Self::Status {
                status,
                headers,
                body,
            } => AttemptFailure {
                retry_after: retry_after(&headers, since_1970),
                ..AttemptFailure::told(
                    failure_of(status.as_u16(), &body),
                    Told::Answer {
                        status,
                        headers,
                        body,
                    },
                )
            },
        }
    }
}

impl<S: Sender, C: Clock, W: PoolWatch> Call<'_, S, C, W> {
    /// Passes a call on. It begins where all calls of its consumer begin, as the provider may keep what comes of it.
    /// One that refers to something that a provider keeps is sent once.
    pub async fn pass<R>(
        &self,
        send: impl AsyncFn(Passing<'_>) -> Result<R, PassFailure>,
    ) -> Passed<R> {
        let mut fallback = self.route.fallback.clone();
        if self.request.is_bound() {
            fallback.max_attempts = 1;
        }
        let mut tries = Tries::with(self, &fallback);
        tries.prefer_by_affinity();
        loop {
            let attempting = match tries.next() {
                Next::Try(attempting) => attempting,
                Next::Wait(time) => {
                    self.clock.sleep(time).await;
                    continue;
                }
                Next::Stop => break,
            };
            match send(passing(&attempting)).await {
                Ok(answer) => {
                    tries.served(&attempting);
                    return Passed {
                        outcome: Ok(answer),
                        served: Some(self.served(attempting.place)),
                        attempts: tries.attempts,
                        stop: None,
                    };
                }
                Err(failure) => {
                    let now = self.clock.since_1970();
                    tries.failed(&attempting, failure.into_failure(attempting.upstream, now));
                }
            }
        }
        let served = tries.last_served();
        let (answer, attempts, stop) = tries.give_up();
        Passed {
            outcome: Err(answer),
            served,
            attempts,
            stop,
        }
    }
}

fn passing<'f>(attempting: &Attempting<'f>) -> Passing<'f> {
    let time = attempting.limit(false);
    Passing {
        place: attempting.place,
        upstream: attempting.upstream,
        secret: attempting.secret(),
        timeouts: Timeouts {
            connect: connect_timeout(time),
            first_byte: time,
            between_bytes: attempting.place.between_pieces,
        },
    }
}
