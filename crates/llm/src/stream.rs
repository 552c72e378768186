//! A call whose answer is streamed.

use std::time::Duration;

use bytes::Bytes;
use spillway_json::without_mark;
use spillway_platform::{
    ClientLeft, Clock, Headers, InboundResponse, IncomingBody, Sender, Timeouts, gather,
};
use spillway_surface::{LocalReply, Rendered};
use spillway_telemetry::Reason;
use spillway_upstream::{Attempt, Dispatcher, Ended, Failure, Pool, PoolWatch};

use crate::answer::{error_object, error_reply, upstream_request_id};
use crate::as_stream::{MAX_STREAMED_DOCUMENT_BYTES, as_stream};
use crate::attempt_failure::{AttemptFailure, FailureReply, in_an_object, in_words};
use crate::call::connect_timeout;
use crate::target::PlacedAttempt;
use crate::unpacking::Unpacking;
use crate::waiter::{Interrupt, Waiter};
use crate::{
    Call, ModelRequest, Progress, ProviderError, Served, StreamOptionsSent, StreamOutput,
    StreamPipeline, TargetPlace,
};

/// How long `[DONE]` may take once every choice has ended and the usage has come by itself.
const AFTER_THE_USAGE: Duration = Duration::from_secs(5);

/// How a streamed call went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSummary {
    /// How it ended.
    pub end: StreamEnd,
    /// Who served last, where somebody was tried.
    pub served: Option<Served>,
}

/// The end of a streamed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEnd {
    /// All of it went out.
    Complete(Reason),
    /// It broke off; the client was told by an error event.
    Broken(Failure),
    /// The client left.
    ClientLeft,
    /// Nothing had gone out, not even the head: this answer is to be sent instead.
    Refused(Rendered),
}

/// What one attempt came to.
enum AttemptEnd {
    Complete(Reason),
    /// Before any content: another target may serve.
    Failed(AttemptFailure),
    /// After content went out.
    Broken(ProviderError),
    ClientLeft,
}

struct Streaming<'c, 'a, 'o, O, S, C, W> {
    call: &'c Call<'a, S, C, W>,
    request: &'c ModelRequest,
    waiter: Waiter<'o, O, C>,
}

impl<'a, O: StreamOutput, S: Sender, C: Clock, W: PoolWatch> Dispatcher
    for Streaming<'_, 'a, '_, O, S, C, W>
{
    type Target = &'a TargetPlace;
    type Answer = AttemptEnd;
    type Reply = FailureReply;

    async fn wait(&mut self, time: Duration) -> Result<(), AttemptEnd> {
        let waiting = self.waiter.wait(self.call.clock.sleep(time), None).await;
        waiting.map_err(|_| AttemptEnd::ClientLeft)
    }

    async fn attempt(
        &mut self,
        attempt: &mut Attempt<'_, &'a TargetPlace>,
    ) -> Ended<AttemptEnd, FailureReply> {
        let call = self.call;
        let reason = call.served_reason(attempt);
        let number = usize::try_from(attempt.number).unwrap_or(usize::MAX);
        self.waiter.head = Some((
            call.served_with(attempt.target, self.request),
            number,
            reason,
        ));
        let settings = &attempt.target.settings;
        let stream_options = settings.stream_options();
        let mut end = self.attempt_once(attempt, stream_options).await;
        if let AttemptEnd::Failed(failure) = &end
            && stream_options == StreamOptionsSent::WithUsage
            && !self.request.has_stream_options()
            && failure.reply.refuses_stream_options()
        {
            // What the gateway has added it takes back.
            let detail = "it refuses `stream_options`: sent once more without. `stream_options: false` at the provider spares the first attempt";
            attempt.repeats(call.clock.now(), failure.failure, detail);
            end = self.attempt_once(attempt, StreamOptionsSent::AsAsked).await;
            // Only what then serves shows that it was this: the words may be the client's own.
            if !matches!(end, AttemptEnd::Failed(_)) {
                settings.refuses_stream_options();
            }
        }
        match end {
            AttemptEnd::Failed(failure) => Ended::Failed(failure),
            AttemptEnd::Complete(_) => Ended::Served(end),
            AttemptEnd::ClientLeft => Ended::Over(end),
            AttemptEnd::Broken(ref error) => {
                let failure = error.failure;
                Ended::Broken(end, failure)
            }
        }
    }
}

impl<S: Sender, C: Clock, W: PoolWatch> Call<'_, S, C, W> {
    /// Serves a call whose answer is streamed into `out`.
    pub async fn stream<O: StreamOutput>(
        &self,
        request: &ModelRequest,
        out: &mut O,
    ) -> StreamSummary {
        let keep_alive = self.route.fallback.keep_alive.duration();
        let attempts = self.attempts(&self.route.fallback);
        let mut streaming = Streaming {
            call: self,
            request,
            waiter: Waiter::new(out, self.clock, keep_alive),
        };
        // Should the call have to wait before its first attempt.
        streaming.waiter.head = attempts.targets.first().map(|first| {
            let reason = if self.skips_first {
                Reason::Fallback
            } else {
                Reason::Ok
            };
            (self.served_with(first.target, request), 0, reason)
        });
        let attempted = attempts.run(&mut streaming).await;
        let waiter = &mut streaming.waiter;
        let end = match attempted.end {
            Ok(AttemptEnd::Complete(reason)) => StreamEnd::Complete(reason),
            Ok(AttemptEnd::Broken(error)) => {
                let pool = attempted.target.map(|place| &*place.pool);
                let reply = broken_off(&error, pool);
                self.tell(waiter, reply, error.failure).await
            }
            // A failed attempt is none of the loop's answers.
            Ok(AttemptEnd::ClientLeft | AttemptEnd::Failed(_)) => StreamEnd::ClientLeft,
            Err(gave_up) => {
                let reply = self.give_up(gave_up, attempted.target);
                if waiter.is_open {
                    let failure = self.progress.attempts.last_failure();
                    self.tell(waiter, reply, failure.unwrap_or(Failure::Reset))
                        .await
                } else {
                    StreamEnd::Refused(self.surface.render(reply))
                }
            }
        };
        StreamSummary {
            end,
            served: attempted
                .target
                .map(|place| self.served_with(place, request)),
        }
    }

    /// Tells the client how its answer broke off.
    async fn tell<O: StreamOutput>(
        &self,
        waiter: &mut Waiter<'_, O, C>,
        reply: LocalReply,
        failure: Failure,
    ) -> StreamEnd {
        match waiter.write(self.surface.stream_error(reply)).await {
            Ok(()) => StreamEnd::Broken(failure),
            Err(ClientLeft) => StreamEnd::ClientLeft,
        }
    }
}

impl<O: StreamOutput, S: Sender, C: Clock, W: PoolWatch> Streaming<'_, '_, '_, O, S, C, W> {
    async fn attempt_once(
        &mut self,
        attempt: &PlacedAttempt<'_>,
        stream_options: StreamOptionsSent,
    ) -> AttemptEnd {
        let (call, place) = (self.call, attempt.target);
        call.progress.set_usage(None, 0);
        let limit = place.limit(attempt, true);
        let deadline = call.clock.now().saturating_add(limit);
        let timeouts = Timeouts {
            connect: connect_timeout(limit),
            first_byte: limit,
            between_bytes: place.between_pieces,
        };
        // Boxed, here and below: what is over once the head is here takes no room in a stream.
        let sending = Box::pin(call.send(self.request, attempt, stream_options, timeouts));
        let mut response = match self.waiter.wait(sending, Some(deadline)).await {
            Ok(Ok(response)) => response,
            // No head in time is no content in time.
            Ok(Err(failure)) if failure.failure == Failure::Timeout => {
                return Interrupt::Deadline.into_end();
            }
            Ok(Err(failure)) => return AttemptEnd::Failed(failure),
            Err(interrupt) => return interrupt.into_end(),
        };
        if let Some((served, ..)) = &mut self.waiter.head {
            served.request_id = upstream_request_id(&response.headers, &place.pool);
        }
        if !response.status.is_success() || !is_event_stream(&response) {
            return self.attempt_unstreamed(attempt, response, deadline).await;
        }
        let seconds = call.clock.since_1970().as_secs();
        let mut chunks = StreamPipeline::new(place.dialect(), self.request.wants_usage, seconds)
            .minding_content_filter(call.route.minds_content_filter());
        let mut is_first = true;
        let mut last_said = call.clock.now();
        let mut ahead = None;
        loop {
            // An end may be taken back by what still comes; comments, which say nothing, must not keep an answer that
            // has ended open for ever.
            let patience = match (chunks.is_finished(), chunks.is_settled()) {
                (_, true) => Some(AFTER_THE_USAGE),
                (true, _) => Some(place.between_pieces),
                _ => None,
            };
            let limit = match patience {
                Some(patience) => Some(last_said.saturating_add(patience)),
                None => (!chunks.has_content()).then_some(deadline),
            };
            let next = match ahead.take() {
                Some(next) => Ok(next),
                None => self.waiter.wait(response.body.next(), limit).await,
            };
            let progress = match next {
                Ok(Ok(Some(bytes)))
                    if is_first && without_mark(&bytes).trim_ascii_start().starts_with(b"{") =>
                {
                    // One JSON document, whatever the content type says.
                    let headers = std::mem::take(&mut response.headers);
                    let reading = Box::pin(call.read_rest(attempt.upstream(), bytes, response));
                    return match self.waiter.wait(reading, Some(deadline)).await {
                        Ok(Ok(body)) => self.stream_document(attempt, &headers, body).await,
                        Ok(Err(failure)) => AttemptEnd::Failed(failure),
                        Err(interrupt) => interrupt.into_end(),
                    };
                }
                Ok(Ok(Some(bytes))) => {
                    is_first = false;
                    let (bytes, end) = gather(&mut response.body, bytes).await;
                    ahead = end;
                    let progress = chunks.push(&bytes);
                    if chunks.has_output() {
                        last_said = call.clock.now();
                    }
                    progress
                }
                Ok(Ok(None)) => chunks.finish(),
                // The answer is whole: what fails after it takes nothing from it.
                Ok(Err(_)) | Err(Interrupt::Deadline) if chunks.is_finished() => Progress::Done,
                Ok(Err(error)) => Progress::Failed(ProviderError {
                    failure: Failure::from(&error),
                    error: None,
                }),
                Err(interrupt) => return interrupt.into_end(),
            };
            call.progress
                .set_usage(chunks.usage(), chunks.estimated_output());
            if chunks.has_content() {
                call.progress.set_first_content(|| call.elapsed());
                let output = chunks.take_output();
                if !output.is_empty() && self.waiter.write(output).await.is_err() {
                    return AttemptEnd::ClientLeft;
                }
            }
            match progress {
                Progress::Open => {}
                Progress::Done => {
                    if !chunks.has_content() {
                        // A stream that says nothing is no answer.
                        return AttemptEnd::Failed(AttemptFailure::bare(Failure::Truncated));
                    }
                    return match self.waiter.write(chunks.take_ending()).await {
                        Ok(()) => AttemptEnd::Complete(call.served_reason(attempt)),
                        Err(ClientLeft) => AttemptEnd::ClientLeft,
                    };
                }
                Progress::Failed(error) if chunks.has_content() => {
                    return AttemptEnd::Broken(error);
                }
                Progress::Failed(error) => {
                    return AttemptEnd::Failed(in_an_object(error.failure, error.error));
                }
            }
        }
    }

    /// An error status, or a provider that answers a stream request in one piece.
    async fn attempt_unstreamed(
        &mut self,
        attempt: &PlacedAttempt<'_>,
        response: InboundResponse<Unpacking<S::Body>>,
        deadline: Duration,
    ) -> AttemptEnd {
        let reading = Box::pin(self.call.read_success(attempt, response));
        let (headers, body) = match self.waiter.wait(reading, Some(deadline)).await {
            Ok(Ok(read)) => read,
            Ok(Err(failure)) => return AttemptEnd::Failed(failure),
            Err(interrupt) => return interrupt.into_end(),
        };
        self.stream_document(attempt, &headers, body).await
    }

    /// Streams an answer that came in one piece.
    async fn stream_document(
        &mut self,
        attempt: &PlacedAttempt<'_>,
        headers: &Headers,
        body: Bytes,
    ) -> AttemptEnd {
        let call = self.call;
        let (body, usage) = match call.answer_in(headers, body, attempt.target) {
            Ok(answer) => answer,
            Err(failure) => return AttemptEnd::Failed(failure),
        };
        let Some(stream) = as_stream(&body, self.request.wants_usage) else {
            return AttemptEnd::Failed(if body.len() > MAX_STREAMED_DOCUMENT_BYTES {
                in_words(
                    Failure::TooLarge,
                    "The model answered a stream with one document of more than 4 MiB, the most that the gateway makes a stream of. Ask without `stream`.",
                )
            } else {
                AttemptFailure::bare(Failure::Reset)
            });
        };
        call.set_usage(usage, &body);
        call.progress.set_first_content(|| call.elapsed());
        match self.waiter.write(stream).await {
            Ok(()) => AttemptEnd::Complete(call.served_reason(attempt)),
            Err(ClientLeft) => AttemptEnd::ClientLeft,
        }
    }
}

impl Interrupt {
    fn into_end(self) -> AttemptEnd {
        match self {
            Self::Deadline => AttemptEnd::Failed(AttemptFailure::bare(Failure::FirstTokenTimeout)),
            Self::ClientLeft => AttemptEnd::ClientLeft,
        }
    }
}

fn is_event_stream<B>(response: &InboundResponse<B>) -> bool {
    response.headers.text("content-type").is_none_or(|kind| {
        let kind = kind.trim_start().to_ascii_lowercase();
        !kind.starts_with("application/json") && !kind.starts_with("text/html")
    })
}

/// The provider's own error object, else our words.
fn broken_off(error: &ProviderError, pool: Option<&Pool>) -> LocalReply {
    let (status, reason) = (http::StatusCode::BAD_GATEWAY, Reason::StreamBroken);
    if let Some((object, pool)) = error.error.as_ref().zip(pool) {
        return error_reply(status, reason, error_object(status, object, pool));
    }
    let message = match error.failure {
        Failure::Timeout | Failure::FirstTokenTimeout => {
            "The model stopped answering in the middle of its answer. What came so far is not complete."
        }
        _ => {
            "The connection to the model broke in the middle of its answer. What came so far is not complete."
        }
    };
    LocalReply::error(status, reason, message)
}
