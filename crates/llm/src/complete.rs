//! A call whose answer comes in one piece.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use spillway_json::without_mark;
use spillway_platform::{Clock, Headers, Sender, Timeouts};
use spillway_sse::write_event;
use spillway_surface::Rendered;
use spillway_upstream::{Attempt, Dispatcher, Ended, Failure, PoolWatch};

use crate::answer::served;
use crate::attempt_failure::{AttemptFailure, FailureReply, in_an_object};
use crate::call::connect_timeout;
use crate::inspect::{is_emptied_by_filter, readable, without_secrets};
use crate::no_answer::no_answer;
use crate::target::PlacedAttempt;
use crate::{
    Call, Dialect, Inspected, ModelRequest, Progress, Served, StreamOptionsSent, StreamPipeline,
    TargetPlace, Usage, as_document,
};

/// How a complete (not streamed) call went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// What the client gets.
    pub answer: Rendered,
    /// Who served, where somebody did or refused.
    pub served: Option<Served>,
}

struct Completing<'c, 'a, S, C, W> {
    call: &'c Call<'a, S, C, W>,
    request: &'c ModelRequest,
}

impl<'a, S: Sender, C: Clock, W: PoolWatch> Dispatcher for Completing<'_, 'a, S, C, W> {
    type Target = &'a TargetPlace;
    type Answer = Rendered;
    type Reply = FailureReply;

    async fn wait(&mut self, time: Duration) -> Result<(), Self::Answer> {
        self.call.clock.sleep(time).await;
        Ok(())
    }

    async fn attempt(
        &mut self,
        attempt: &mut Attempt<'_, &'a TargetPlace>,
    ) -> Ended<Self::Answer, FailureReply> {
        let call = self.call;
        let place = attempt.target;
        let deadline = call.clock.sleep(place.limit(attempt, false));
        let serving = call.attempt_complete(self.request, attempt);
        // The deadline first: on Spin, whatever is done between a send and the next turn of the event loop
        // makes it likelier that head and body leave apart.
        match select(std::pin::pin!(deadline), std::pin::pin!(serving)).await {
            Either::Left(((), _)) => Ended::Failed(AttemptFailure::bare(Failure::Timeout)),
            Either::Right((Err(failure), _)) => Ended::Failed(failure),
            Either::Right((Ok((headers, body, usage)), _)) => {
                let reason = call.served_reason(attempt);
                call.set_usage(usage, &body);
                let answer = served(reason, &headers, body, &place.pool);
                Ended::Served(answer)
            }
        }
    }
}

impl<S: Sender, C: Clock, W: PoolWatch> Call<'_, S, C, W> {
    /// Serves a call whose answer comes in one piece.
    pub async fn complete(&self, request: &ModelRequest) -> Completed {
        let mut caller = Completing {
            call: self,
            request,
        };
        let attempted = self.attempts(&self.route.fallback).run(&mut caller).await;
        let served = attempted
            .target
            .map(|place| self.served_with(place, request));
        let answer = match attempted.end {
            Ok(answer) => answer,
            Err(gave_up) => self.surface.render(self.give_up(gave_up, attempted.target)),
        };
        Completed { answer, served }
    }

    async fn attempt_complete(
        &self,
        request: &ModelRequest,
        attempt: &PlacedAttempt<'_>,
    ) -> Result<(Headers, Bytes, Option<Usage>), AttemptFailure> {
        let time = attempt.target.limit(attempt, false);
        let timeouts = Timeouts {
            connect: connect_timeout(time),
            first_byte: time,
            between_bytes: time,
        };
        let response = self
            .send(request, attempt, StreamOptionsSent::AsAsked, timeouts)
            .await?;
        let (headers, body) = self.read_success(attempt, response).await?;
        let dialect = attempt.target.dialect();
        // Some providers stream whatever is asked of them.
        let body = if is_stream(&headers, &body) {
            let stream = self.in_the_clients_dialect(dialect, body);
            as_document(&stream).map_err(|error| in_an_object(error.failure, error.error))?
        } else {
            body
        };
        let (body, usage) = self.answer_in(&headers, body, attempt.target)?;
        Ok((headers, body, usage))
    }

    /// A whole stream in the dialect that clients speak.
    fn in_the_clients_dialect(&self, dialect: Dialect, stream: Bytes) -> Bytes {
        if !dialect.is_translated() {
            return stream;
        }
        let seconds = self.clock.since_1970().as_secs();
        let mut pipeline = StreamPipeline::new(dialect, true, seconds);
        let progress = match pipeline.push(&stream) {
            Progress::Open => pipeline.finish(),
            ended => ended,
        };
        let mut written = pipeline.take_output();
        match progress {
            Progress::Done => written.extend(pipeline.take_ending()),
            Progress::Failed(error) => {
                if let Some(error) = error.error {
                    let event = format!("{{\"error\":{error}}}");
                    write_event(&mut written, None, event.as_bytes());
                }
            }
            Progress::Open => {}
        }
        written.into()
    }

    /// The answer that a 200 holds, as clients read it, and the tokens that it names.
    pub(crate) fn answer_in(
        &self,
        headers: &Headers,
        body: Bytes,
        place: &TargetPlace,
    ) -> Result<(Bytes, Option<Usage>), AttemptFailure> {
        let pool = &*place.pool;
        let seconds = self.clock.since_1970().as_secs();
        let (body, inspected) = readable(place.dialect().decode(body, seconds));
        match inspected {
            Inspected::Answer(_)
                if self.route.minds_content_filter() && is_emptied_by_filter(&body) =>
            {
                Err(AttemptFailure::bare(Failure::ContentFilter(200)))
            }
            Inspected::Answer(usage) => Ok((without_secrets(body, pool), usage)),
            Inspected::Failed(Failure::Reset, None) => Err(no_answer(headers, &body, pool)),
            Inspected::Failed(failure, error) => Err(in_an_object(failure, error)),
        }
    }
}

/// Whether an answer in one piece is an event stream all the same.
fn is_stream(headers: &Headers, body: &[u8]) -> bool {
    let says_so = headers.text("content-type").is_some_and(|kind| {
        kind.trim_start()
            .to_ascii_lowercase()
            .starts_with("text/event-stream")
    });
    let beginning = without_mark(body).trim_ascii_start();
    beginning.starts_with(b"data:") || (says_so && !beginning.starts_with(b"{"))
}
