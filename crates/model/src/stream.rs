//! A call whose answer is streamed.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use spillway_failover::Failure;
use spillway_platform::{ClientLeft, Clock, InboundResponse, IncomingBody, OutgoingBody, Sender};
use spillway_sse::{write_comment, write_event};
use spillway_telemetry::Reason;

use crate::answer::{AttemptFailure, Told, redact};
use crate::call::Tries;
use crate::chunk::{ProviderError, one_line};
use crate::complete::as_stream;
use crate::{
    Attempt, Call, CallAnswer, ChunkReader, Inspected, Progress, Served, TargetPlace, Usage,
    inspect,
};

/// How long usage and `[DONE]` may take once every choice has ended.
const AFTER_THE_END: Duration = Duration::from_secs(5);

/// Where a stream goes. Nothing is written before [`StreamOutput::open`].
pub trait StreamOutput: OutgoingBody {
    /// Sends the head: 200, an event stream, served by this one after so many attempts.
    fn open(&mut self, served: Served, attempts: usize, reason: Reason);
}

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

enum Interrupt {
    Deadline,
    ClientLeft,
}

enum AttemptEnd {
    Complete,
    /// Before any content: another target may serve.
    Failed(AttemptFailure),
    /// After content went out.
    Broken(ProviderError),
    ClientLeft,
}

/// Waits for the provider while keeping the client waiting.
struct Waiter<'o, O, C> {
    out: &'o mut O,
    clock: &'o C,
    keep_alive: Duration,
    is_open: bool,
    last_write: Duration,
    timer: Pin<Box<dyn Future<Output = ()>>>,
    timer_at: Duration,
    /// The head to send should the client have to wait for long.
    head: Option<(Served, usize, Reason)>,
}

impl<S: Sender, C: Clock> Call<'_, S, C> {
    /// Serves a call whose answer is streamed into `out`.
    pub async fn stream<O: StreamOutput>(&self, out: &mut O) -> StreamSummary {
        let mut waiter = Waiter::new(out, self.clock, self.route.fallback.keep_alive.duration());
        let mut tries = Tries::new(self);
        let mut summary = Partial::default();
        while let Some((index, place)) = tries.next() {
            let began = self.clock.now();
            let attempts = tries.attempts.len().saturating_add(1);
            waiter.head = Some((self.served(place), attempts, tries.served_reason()));
            summary.served = Some(self.served(place));
            match self
                .attempt_stream(place, index, &mut waiter, &mut summary)
                .await
            {
                AttemptEnd::Complete => {
                    tries.record(index, None, began);
                    let reason = tries.served_reason();
                    return summary.into_summary(StreamEnd::Complete(reason), tries.attempts);
                }
                AttemptEnd::ClientLeft => {
                    tries.record(index, None, began);
                    return summary.into_summary(StreamEnd::ClientLeft, tries.attempts);
                }
                AttemptEnd::Broken(error) => {
                    tries.record(index, Some(error.failure), began);
                    let end = waiter
                        .tell(&broken_event(&error, &place.api_keys))
                        .await
                        .map_or_else(
                            |ClientLeft| StreamEnd::ClientLeft,
                            |()| StreamEnd::Broken(error.failure),
                        );
                    return summary.into_summary(end, tries.attempts);
                }
                AttemptEnd::Failed(failure) => {
                    if !tries.fail(index, place, failure, began) {
                        break;
                    }
                }
            }
        }
        let (answer, attempts) = tries.give_up();
        if !waiter.is_open {
            return summary.into_summary(StreamEnd::Refused(answer), attempts);
        }
        let failure = attempts
            .last()
            .and_then(|attempt| attempt.failure)
            .unwrap_or(Failure::Reset);
        let end = match waiter.tell(&answer.body).await {
            Ok(()) => StreamEnd::Broken(failure),
            Err(ClientLeft) => StreamEnd::ClientLeft,
        };
        summary.into_summary(end, attempts)
    }

    async fn attempt_stream<O: StreamOutput>(
        &self,
        place: &TargetPlace,
        index: usize,
        waiter: &mut Waiter<'_, O, C>,
        summary: &mut Partial,
    ) -> AttemptEnd {
        let deadline = self.clock.now().saturating_add(place.first_token_timeout);
        let sending = self.send(place, index, self.timeouts_of_stream(place));
        let mut response = match waiter.wait(sending, Some(deadline)).await {
            Ok(Ok(response)) => response,
            Ok(Err(failure)) => return AttemptEnd::Failed(failure),
            Err(interrupt) => return interrupt.into_end(),
        };
        if !response.status.is_success() || !is_event_stream(&response) {
            return self
                .attempt_unstreamed(place, response, deadline, waiter, summary)
                .await;
        }
        let mut chunks = ChunkReader::new(self.request.wants_usage);
        let mut is_first = true;
        let mut ended_at = None;
        loop {
            if chunks.is_finished() {
                ended_at.get_or_insert_with(|| self.clock.now());
            }
            let limit = match ended_at {
                Some(ended_at) => Some(ended_at.saturating_add(AFTER_THE_END)),
                None => (!chunks.has_content()).then_some(deadline),
            };
            let progress = match waiter.wait(response.body.next(), limit).await {
                Ok(Ok(Some(bytes)))
                    if is_first && bytes.trim_ascii_start().first() == Some(&b'{') =>
                {
                    // One JSON document, whatever the content type says.
                    let reading = self.read_rest(place, bytes, response);
                    return match waiter.wait(reading, Some(deadline)).await {
                        Ok(Ok(body)) => self.stream_document(&body, waiter, summary).await,
                        Ok(Err(failure)) => AttemptEnd::Failed(failure),
                        Err(interrupt) => interrupt.into_end(),
                    };
                }
                Ok(Ok(Some(bytes))) => {
                    is_first = false;
                    chunks.push(&bytes)
                }
                Ok(Ok(None)) => chunks.finish(),
                // The answer is whole: what fails after it takes nothing from it.
                Ok(Err(_)) | Err(Interrupt::Deadline) if ended_at.is_some() => Progress::Done,
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
        place: &TargetPlace,
        response: InboundResponse<S::Body>,
        deadline: Duration,
        waiter: &mut Waiter<'_, O, C>,
        summary: &mut Partial,
    ) -> AttemptEnd {
        let body = match waiter
            .wait(self.read_success(place, response), Some(deadline))
            .await
        {
            Ok(Ok((_, body))) => body,
            Ok(Err(failure)) => return AttemptEnd::Failed(failure),
            Err(interrupt) => return interrupt.into_end(),
        };
        self.stream_document(&body, waiter, summary).await
    }

    /// Streams an answer that came in one piece.
    async fn stream_document<O: StreamOutput>(
        &self,
        body: &[u8],
        waiter: &mut Waiter<'_, O, C>,
        summary: &mut Partial,
    ) -> AttemptEnd {
        let failed = |failure, told| AttemptEnd::Failed(AttemptFailure::told(failure, told));
        let usage = match inspect(body) {
            Inspected::Answer(usage) => usage,
            Inspected::Failed(failure, error) => {
                return failed(failure, error.map_or(Told::Nothing, Told::Object));
            }
        };
        let Some(stream) = as_stream(body, self.request.wants_usage) else {
            return failed(Failure::Reset, Told::Nothing);
        };
        summary.usage = usage;
        summary.first_content.get_or_insert_with(|| self.elapsed());
        match waiter.write(stream).await {
            Ok(()) => AttemptEnd::Complete,
            Err(ClientLeft) => AttemptEnd::ClientLeft,
        }
    }
}

impl<'o, O: StreamOutput, C: Clock> Waiter<'o, O, C> {
    fn new(out: &'o mut O, clock: &'o C, keep_alive: Duration) -> Self {
        let now = clock.now();
        Self {
            out,
            clock,
            keep_alive,
            is_open: false,
            last_write: now,
            timer: Box::pin(clock.sleep(keep_alive)),
            timer_at: now.saturating_add(keep_alive),
            head: None,
        }
    }

    /// Waits for `future` until `deadline`, sending a comment whenever `keep_alive` has passed in silence. One
    /// timer serves a whole stream: it is looked at when it fires, not set anew for every piece.
    async fn wait<F: Future>(
        &mut self,
        future: F,
        deadline: Option<Duration>,
    ) -> Result<F::Output, Interrupt> {
        let mut future = std::pin::pin!(future);
        if deadline.is_some_and(|deadline| deadline < self.timer_at) {
            self.set_timer(self.clock.now(), deadline);
        }
        loop {
            match select(future.as_mut(), self.timer.as_mut()).await {
                Either::Left((output, _)) => return Ok(output),
                Either::Right(((), _)) => {
                    let now = self.clock.now();
                    if deadline.is_some_and(|deadline| now >= deadline) {
                        self.set_timer(now, None);
                        return Err(Interrupt::Deadline);
                    }
                    if now.saturating_sub(self.last_write) >= self.keep_alive {
                        let mut comment = Vec::new();
                        write_comment(&mut comment, "keep-alive");
                        self.write(comment)
                            .await
                            .map_err(|ClientLeft| Interrupt::ClientLeft)?;
                    }
                    self.set_timer(now, deadline);
                }
            }
        }
    }

    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), ClientLeft> {
        if !self.is_open {
            self.is_open = true;
            if let Some((served, attempts, reason)) = self.head.take() {
                self.out.open(served, attempts, reason);
            }
        }
        self.out.write(bytes).await?;
        self.last_write = self.clock.now();
        Ok(())
    }

    /// Writes an error document as the stream's last event.
    async fn tell(&mut self, document: &[u8]) -> Result<(), ClientLeft> {
        let mut event = Vec::new();
        write_event(&mut event, None, &one_line(document));
        self.write(event).await
    }

    fn set_timer(&mut self, now: Duration, deadline: Option<Duration>) {
        let silent_until = self.last_write.saturating_add(self.keep_alive);
        // At least a millisecond, so that rounding cannot make this loop spin.
        let at = deadline
            .map_or(silent_until, |deadline| deadline.min(silent_until))
            .max(now.saturating_add(Duration::from_millis(1)));
        self.timer = Box::pin(self.clock.sleep(at.saturating_sub(now)));
        self.timer_at = at;
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
    fn into_summary(self, end: StreamEnd, attempts: Vec<Attempt>) -> StreamSummary {
        StreamSummary {
            end,
            served: self.served,
            attempts,
            usage: self.usage,
            first_content: self.first_content,
        }
    }
}

fn is_event_stream<B>(response: &InboundResponse<B>) -> bool {
    response.headers.text("content-type").is_none_or(|kind| {
        !kind
            .trim_start()
            .to_ascii_lowercase()
            .starts_with("application/json")
    })
}

/// The provider's own error object, else ours.
fn broken_event(error: &ProviderError, keys: &[String]) -> Vec<u8> {
    match &error.error {
        Some(object) => redact(&format!("{{\"error\":{object}}}"), keys).into_bytes(),
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
