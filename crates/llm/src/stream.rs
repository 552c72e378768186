//! A call whose answer is streamed.

use std::time::Duration;

use bytes::Bytes;
use spillway_json::without_mark;
use spillway_platform::{ClientLeft, Clock, Headers, InboundResponse, IncomingBody, Sender};
use spillway_telemetry::Reason;
use spillway_upstream::{Failure, Pool, Stop};

use crate::answer::{told_object, upstream_request_id};
use crate::as_stream::{MAX_STREAMED_DOCUMENT_BYTES, as_stream};
use crate::attempt_failure::{AttemptFailure, Told};
use crate::tries::{Attempting, Next, Tries};
use crate::unpacking::Unpacking;
use crate::waiter::{Interrupt, Waiter};
use crate::{
    Attempt, Call, CallAnswer, ChunkReader, PoolWatch, Progress, ProviderError, Served,
    StreamOutput, Usage,
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
    /// Every attempt in order.
    pub attempts: Vec<Attempt>,
    /// Tokens as far as reported.
    pub usage: Option<Usage>,
    /// From the call's arrival to its first content.
    pub first_content: Option<Duration>,
    /// Why nothing more was tried, where nobody served.
    pub stop: Option<Stop>,
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
    Refused(CallAnswer),
}

enum AttemptEnd {
    Complete,
    /// Before any content: another target may serve.
    Failed(AttemptFailure),
    /// After content went out.
    Broken(ProviderError),
    ClientLeft,
}

impl<S: Sender, C: Clock, W: PoolWatch> Call<'_, S, C, W> {
    /// Serves a call whose answer is streamed into `out`.
    pub async fn stream<O: StreamOutput>(&self, out: &mut O) -> StreamSummary {
        let mut waiter = Waiter::new(out, self.clock, self.route.fallback.keep_alive.duration());
        let mut tries = Tries::new(self);
        let mut summary = Partial::default();
        // Should the call have to wait before its first attempt.
        waiter.head = tries
            .first_place()
            .map(|place| (self.served(place), 0, tries.served_reason(place)));
        loop {
            let attempting = match tries.next() {
                Next::Try(attempting) => attempting,
                Next::Wait(time) => {
                    if let Err(Interrupt::ClientLeft) =
                        waiter.wait(self.clock.sleep(time), None).await
                    {
                        return summary.into_summary(StreamEnd::ClientLeft, tries.attempts, None);
                    }
                    continue;
                }
                Next::Stop => break,
            };
            let served = self.served(attempting.place);
            let attempts = tries.attempts.len().saturating_add(1);
            let reason = tries.served_reason(attempting.place);
            waiter.head = Some((served.clone(), attempts, reason));
            summary.served = Some(served);
            let settings = &attempting.place.settings;
            let asks_usage = settings.takes_stream_options() && !self.request.has_stream_options();
            let mut end = self
                .attempt_stream(&attempting, &mut waiter, &mut summary)
                .await;
            if let AttemptEnd::Failed(failure) = &end
                && asks_usage
                && failure.refuses_stream_options()
            {
                // What the gateway has added it takes back.
                tries.repeats(&attempting, failure);
                let without = attempting.without_usage();
                end = self
                    .attempt_stream(&without, &mut waiter, &mut summary)
                    .await;
                // Only what then serves shows that it was this: the words may be the client's own.
                if !matches!(end, AttemptEnd::Failed(_)) {
                    settings.refuses_stream_options();
                }
            }
            match end {
                AttemptEnd::Complete => {
                    tries.served(&attempting);
                    let end = StreamEnd::Complete(reason);
                    return summary.into_summary(end, tries.attempts, None);
                }
                AttemptEnd::ClientLeft => {
                    tries.left(&attempting);
                    return summary.into_summary(StreamEnd::ClientLeft, tries.attempts, None);
                }
                AttemptEnd::Broken(error) => {
                    tries.broke(&attempting, error.failure);
                    let end = waiter
                        .tell(&broken_event(&error, &attempting.place.pool))
                        .await
                        .map_or_else(
                            |ClientLeft| StreamEnd::ClientLeft,
                            |()| StreamEnd::Broken(error.failure),
                        );
                    return summary.into_summary(end, tries.attempts, None);
                }
                AttemptEnd::Failed(failure) => tries.failed(&attempting, failure),
            }
        }
        let (answer, attempts, stop) = tries.give_up();
        if !waiter.is_open {
            return summary.into_summary(StreamEnd::Refused(answer), attempts, stop);
        }
        let failure = attempts
            .last()
            .and_then(|attempt| attempt.failure)
            .unwrap_or(Failure::Reset);
        let end = match waiter.tell(&answer.body).await {
            Ok(()) => StreamEnd::Broken(failure),
            Err(ClientLeft) => StreamEnd::ClientLeft,
        };
        summary.into_summary(end, attempts, stop)
    }

    async fn attempt_stream<O: StreamOutput>(
        &self,
        attempting: &Attempting<'_>,
        waiter: &mut Waiter<'_, O, C>,
        summary: &mut Partial,
    ) -> AttemptEnd {
        let deadline = self.clock.now().saturating_add(attempting.limit(true));
        let sending = self.send(attempting, Self::timeouts_of_stream(attempting));
        let mut response = match waiter.wait(sending, Some(deadline)).await {
            Ok(Ok(response)) => response,
            // No head in time is no content in time.
            Ok(Err(failure)) if failure.failure == Failure::Timeout => {
                return Interrupt::Deadline.into_end();
            }
            Ok(Err(failure)) => return AttemptEnd::Failed(failure),
            Err(interrupt) => return interrupt.into_end(),
        };
        if let Some((served, ..)) = &mut waiter.head {
            served.request_id = upstream_request_id(&response.headers, &attempting.place.pool);
        }
        if !response.status.is_success() || !is_event_stream(&response) {
            return self
                .attempt_unstreamed(attempting, response, deadline, waiter, summary)
                .await;
        }
        let mut chunks = ChunkReader::new(self.request.wants_usage)
            .minding_content_filter(self.route.minds_content_filter());
        let mut is_first = true;
        let mut last_said = self.clock.now();
        loop {
            // An end may be taken back by what still comes; comments, which say nothing, must not keep an answer that
            // has ended open for ever.
            let patience = match (chunks.is_finished(), chunks.is_settled()) {
                (_, true) => Some(AFTER_THE_USAGE),
                (true, _) => Some(attempting.place.between_pieces),
                _ => None,
            };
            let limit = match patience {
                Some(patience) => Some(last_said.saturating_add(patience)),
                None => (!chunks.has_content()).then_some(deadline),
            };
            let progress = match waiter.wait(response.body.next(), limit).await {
                Ok(Ok(Some(bytes)))
                    if is_first && without_mark(&bytes).trim_ascii_start().starts_with(b"{") =>
                {
                    // One JSON document, whatever the content type says.
                    let headers = std::mem::take(&mut response.headers);
                    let reading = self.read_rest(attempting.upstream, bytes, response);
                    return match waiter.wait(reading, Some(deadline)).await {
                        Ok(Ok(body)) => {
                            self.stream_document(attempting, &headers, body, waiter, summary)
                                .await
                        }
                        Ok(Err(failure)) => AttemptEnd::Failed(failure),
                        Err(interrupt) => interrupt.into_end(),
                    };
                }
                Ok(Ok(Some(bytes))) => {
                    is_first = false;
                    let progress = chunks.push(&bytes);
                    if chunks.has_output() {
                        last_said = self.clock.now();
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
            summary.usage = chunks.usage();
            if chunks.has_content() {
                summary.first_content.get_or_insert_with(|| self.elapsed());
                let output = chunks.take_output();
                if !output.is_empty() && waiter.write(output).await.is_err() {
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
                    return match waiter.write(chunks.take_ending()).await {
                        Ok(()) => AttemptEnd::Complete,
                        Err(ClientLeft) => AttemptEnd::ClientLeft,
                    };
                }
                Progress::Failed(error) if chunks.has_content() => {
                    return AttemptEnd::Broken(error);
                }
                Progress::Failed(error) => {
                    return AttemptEnd::Failed(AttemptFailure::told(
                        error.failure,
                        error.error.map_or(Told::Nothing, Told::Object),
                    ));
                }
            }
        }
    }

    /// An error status, or a provider that answers a stream request in one piece.
    async fn attempt_unstreamed<O: StreamOutput>(
        &self,
        attempting: &Attempting<'_>,
        response: InboundResponse<Unpacking<S::Body>>,
        deadline: Duration,
        waiter: &mut Waiter<'_, O, C>,
        summary: &mut Partial,
    ) -> AttemptEnd {
        let (headers, body) = match waiter
            .wait(
                self.read_success(attempting.upstream, response),
                Some(deadline),
            )
            .await
        {
            Ok(Ok(read)) => read,
            Ok(Err(failure)) => return AttemptEnd::Failed(failure),
            Err(interrupt) => return interrupt.into_end(),
        };
        self.stream_document(attempting, &headers, body, waiter, summary)
            .await
    }

    /// Streams an answer that came in one piece.
    async fn stream_document<O: StreamOutput>(
        &self,
        attempting: &Attempting<'_>,
        headers: &Headers,
        body: Bytes,
        waiter: &mut Waiter<'_, O, C>,
        summary: &mut Partial,
    ) -> AttemptEnd {
        let (body, usage) = match self.answer_in(headers, body, &attempting.place.pool) {
            Ok(answer) => answer,
            Err(failure) => return AttemptEnd::Failed(failure),
        };
        let Some(stream) = as_stream(&body, self.request.wants_usage) else {
            return AttemptEnd::Failed(if body.len() > MAX_STREAMED_DOCUMENT_BYTES {
                AttemptFailure::in_words(
                    Failure::TooLarge,
                    "The model answered a stream with one document of more than 4 MiB, the most that the gateway makes a stream of. Ask without `stream`.",
                )
            } else {
                AttemptFailure::bare(Failure::Reset)
            });
        };
        summary.usage = usage;
        summary.first_content.get_or_insert_with(|| self.elapsed());
        match waiter.write(stream).await {
            Ok(()) => AttemptEnd::Complete,
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

#[derive(Default)]
struct Partial {
    served: Option<Served>,
    usage: Option<Usage>,
    first_content: Option<Duration>,
}

impl Partial {
    fn into_summary(
        self,
        end: StreamEnd,
        attempts: Vec<Attempt>,
        stop: Option<Stop>,
    ) -> StreamSummary {
        StreamSummary {
            end,
            served: self.served,
            attempts,
            usage: self.usage,
            first_content: self.first_content,
            stop,
        }
    }
}

fn is_event_stream<B>(response: &InboundResponse<B>) -> bool {
    response.headers.text("content-type").is_none_or(|kind| {
        let kind = kind.trim_start().to_ascii_lowercase();
        !kind.starts_with("application/json") && !kind.starts_with("text/html")
    })
}

/// The provider's own error object, else ours.
fn broken_event(error: &ProviderError, pool: &Pool) -> Vec<u8> {
    match &error.error {
        Some(object) => told_object(http::StatusCode::BAD_GATEWAY, object, pool).into_bytes(),
        None => {
            let message = match error.failure {
                Failure::Timeout | Failure::FirstTokenTimeout => {
                    "The model stopped answering in the middle of its answer. What came so far is not complete."
                }
                _ => {
                    "The connection to the model broke in the middle of its answer. What came so far is not complete."
                }
            };
            crate::error_document(http::StatusCode::BAD_GATEWAY, Reason::StreamBroken, message)
                .into_bytes()
        }
    }
}
