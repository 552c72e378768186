//! A call whose answer is passed on as it is: tried like any other until the head of a success is there.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use spillway_platform::{Clock, Headers, SendError, Sender, Timeouts, Upstream};
use spillway_surface::{LocalReply, Rendered, Surface};
use spillway_upstream::{Attempt, Dispatcher, Ended, Failure, PoolWatch};

use crate::attempt_failure::{AttemptFailure, FailureReply, in_words, of_send};
use crate::call::connect_timeout;
use crate::retry_after::retry_after;
use crate::{Call, Dialect, Served, TargetPlace};

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

/// How far a call is bound to where what it refers to is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// It is not: any target may serve it.
    Free,
    /// It refers to what a provider keeps: it is sent once.
    Kept,
    /// The gateway has not read what it refers to: it is sent once, to the route's first target.
    Unread,
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
    /// The client broke off its request, or sent too much: this is its reply.
    Client(Box<LocalReply>),
}

/// How such a call went.
#[derive(Debug)]
pub struct Passed<'c, R> {
    /// The answer that is passed on, or what the client gets instead.
    pub outcome: Result<R, Rendered>,
    /// The target that was asked last.
    pub place: Option<&'c TargetPlace>,
    /// Who served, or refused last.
    pub served: Option<Served>,
}

impl PassFailure {
    fn into_ended<R>(
        self,
        dialect: Dialect,
        upstream: &Upstream,
        since_1970: Duration,
        surface: Surface,
    ) -> Ended<Result<R, Rendered>, FailureReply> {
        Ended::Failed(match self {
            Self::Client(reply) => return Ended::Over(Err(surface.render(*reply))),
            Self::Send(error) => of_send(error, upstream),
            Self::Redirect(status) => in_words(
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
                ..AttemptFailure::new(
                    dialect.classify(status.as_u16(), &body),
                    FailureReply::Answer {
                        status,
                        headers,
                        body,
                    },
                )
            },
        })
    }
}

struct PassingOn<'c, 'a, F, S, C, W> {
    call: &'c Call<'a, S, C, W>,
    send: F,
}

impl<'a, R, F, S, C: Clock, W> Dispatcher for PassingOn<'_, 'a, F, S, C, W>
where
    F: AsyncFnMut(Passing<'_>) -> Result<R, PassFailure>,
{
    type Target = &'a TargetPlace;
    type Answer = Result<R, Rendered>;
    type Reply = FailureReply;

    async fn wait(&mut self, time: Duration) -> Result<(), Self::Answer> {
        self.call.clock.sleep(time).await;
        Ok(())
    }

    async fn attempt(
        &mut self,
        attempt: &mut Attempt<'_, &'a TargetPlace>,
    ) -> Ended<Self::Answer, FailureReply> {
        let (place, upstream) = (attempt.target, attempt.upstream());
        let time = place.limit(attempt, false);
        let passing = Passing {
            place,
            upstream,
            secret: attempt.secret(),
            timeouts: Timeouts {
                connect: connect_timeout(time),
                first_byte: time,
                between_bytes: place.between_pieces,
            },
        };
        match (self.send)(passing).await {
            Ok(answer) => Ended::Served(Ok(answer)),
            Err(failure) => {
                let (call, dialect) = (self.call, place.dialect());
                failure.into_ended(dialect, upstream, call.clock.since_1970(), call.surface)
            }
        }
    }
}

impl<'a, S: Sender, C: Clock, W: PoolWatch> Call<'a, S, C, W> {
    /// Passes a call on. It begins where all calls of its consumer begin, as the provider may keep what comes of it.
    pub async fn pass<R>(
        &self,
        binding: Binding,
        send: impl AsyncFnMut(Passing<'_>) -> Result<R, PassFailure>,
    ) -> Passed<'a, R> {
        let mut fallback = self.route.fallback.clone();
        if binding != Binding::Free {
            fallback.max_attempts = 1;
        }
        let mut attempts = self.attempts(&fallback);
        attempts.has_affinity = true;
        if binding == Binding::Unread {
            let first = self.route.targets.first();
            let first = first.filter(|place| self.may_answer(place));
            attempts.targets = first.map(|place| self.target(place)).into_iter().collect();
        }
        let attempted = attempts.run(&mut PassingOn { call: self, send }).await;
        let served = attempted.target.map(|place| self.served(place));
        let outcome = attempted.end.unwrap_or_else(|gave_up| {
            Err(self.surface.render(self.give_up(gave_up, attempted.target)))
        });
        Passed {
            outcome,
            place: attempted.target,
            served,
        }
    }
}
