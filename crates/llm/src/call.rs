//! One call through its route's targets.
//!
//! A failure leads on to the next target only while nothing of an answer has reached the client: a complete
//! answer is read whole before it goes out, a stream is held back until its first content.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use spillway_json::without_mark;
use spillway_platform::{
    BytesInHand, Clock, Headers, InboundResponse, IncomingBody, NoRoom, OutboundRequest, SendError,
    Sender, Timeouts, Upstream, may_grow,
};
use spillway_upstream::{Budget, Failure, Pool, Stop};

use crate::attempt_failure::{AttemptFailure, Told};
use crate::error_form::MAX_ERROR_BYTES;
use crate::inspect::{is_emptied_by_filter, readable, without_secrets};
use crate::no_answer::no_answer;
use crate::refusal::failure_of;
use crate::retry_after::retry_after;
use crate::tries::{Attempting, Next, Tries};
use crate::unpacking::Unpacking;
use crate::{
    Attempt, CallAnswer, Inspected, ModelRequest, Operation, PoolWatch, Route, Served, TargetPlace,
    Usage, as_document,
};

/// The longest answer that is read whole: 64 MiB, above any batch of embeddings.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Until a connection to a provider stands: 10 s, as Dify's own clients allow.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Of a shorter time a connection may take three quarters, so that it is plain which of the two was too long.
pub(crate) fn connect_timeout(time: Duration) -> Duration {
    let share = time.saturating_mul(3).checked_div(4).unwrap_or(time);
    CONNECT_TIMEOUT.min(share)
}

/// A client's call, its route found.
#[derive(Debug)]
pub struct Call<'a, S, C, W> {
    /// How to send.
    pub sender: &'a S,
    /// What time it is.
    pub clock: &'a C,
    /// Who is told of endpoints and keys that are set aside.
    pub watch: &'a W,
    /// How much may be tried again.
    pub budget: &'a Budget,
    /// The route that serves.
    pub route: &'a Route,
    /// The endpoint.
    pub operation: Operation,
    /// The request.
    pub request: &'a ModelRequest,
    /// Who calls: what the call finds of keys and endpoints is this consumer's. Empty: nobody, who are one consumer all
    /// together.
    pub consumer: &'a str,
    /// Header fields to send along.
    pub headers: &'a Headers,
    /// Header fields of the client's that go along to providers that take them.
    pub forwardable: &'a Headers,
    /// When the call arrived, by `clock`.
    pub arrived: Duration,
    /// The call's number: the next call's is one higher, so that keys and endpoints are used in turn.
    pub number: u32,
    /// The gateway's own limits refused the first target.
    pub skips_first: bool,
    /// What the instance holds of answers.
    pub in_hand: Arc<BytesInHand>,
}

/// How a complete (not streamed) call went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// What the client gets.
    pub answer: CallAnswer,
    /// Who served, where somebody did or refused.
    pub served: Option<Served>,
    /// Every attempt in order.
    pub attempts: Vec<Attempt>,
    /// Tokens as reported.
    pub usage: Option<Usage>,
    /// Why nothing more was tried, where nobody served.
    pub stop: Option<Stop>,
}

impl<S: Sender, C: Clock, W: PoolWatch> Call<'_, S, C, W> {
    /// Serves a call whose answer comes in one piece.
    pub async fn complete(&self) -> Completed {
        let mut tries = Tries::new(self);
        loop {
            let attempting = match tries.next() {
                Next::Try(attempting) => attempting,
                Next::Wait(time) => {
                    self.clock.sleep(time).await;
                    continue;
                }
                Next::Stop => break,
            };
            let attempt = self.attempt_complete(&attempting);
            let deadline = self.clock.sleep(attempting.limit(false));
            // The deadline first: on Spin, whatever is done between a send and the next turn of the event loop
            // makes it likelier that head and body leave apart.
            let outcome = match select(std::pin::pin!(deadline), std::pin::pin!(attempt)).await {
                Either::Left(((), _)) => Err(AttemptFailure::bare(Failure::Timeout)),
                Either::Right((outcome, _)) => outcome,
            };
            match outcome {
                Ok((headers, body, usage)) => {
                    tries.served(&attempting);
                    return Completed {
                        answer: CallAnswer::served(
                            tries.served_reason(attempting.place),
                            &headers,
                            body,
                            &attempting.place.pool,
                        ),
                        served: Some(self.served(attempting.place)),
                        attempts: tries.attempts,
                        usage,
                        stop: None,
                    };
                }
                Err(failure) => tries.failed(&attempting, failure),
            }
        }
        let served = tries.last_served();
        let (answer, attempts, stop) = tries.give_up();
        Completed {
            answer,
            served,
            attempts,
            usage: None,
            stop,
        }
    }

    async fn attempt_complete(
        &self,
        attempting: &Attempting<'_>,
    ) -> Result<(Headers, Bytes, Option<Usage>), AttemptFailure> {
        let time = attempting.limit(false);
        let timeouts = Timeouts {
            connect: connect_timeout(time),
            first_byte: time,
            between_bytes: time,
        };
        let response = self.send(attempting, timeouts).await?;
        let (headers, body) = self.read_success(attempting.upstream, response).await?;
        // Some providers stream whatever is asked of them.
        let body = if is_stream(&headers, &body) {
            as_document(&body).map_err(|error| {
                AttemptFailure::told(
                    error.failure,
                    error.error.map_or(Told::Nothing, Told::Object),
                )
            })?
        } else {
            body
        };
        let (body, usage) = self.answer_in(&headers, body, &attempting.place.pool)?;
        Ok((headers, body, usage))
    }

    /// The answer that a 200 holds, as clients read it, and the tokens that it names.
    pub(crate) fn answer_in(
        &self,
        headers: &Headers,
        body: Bytes,
        pool: &Pool,
    ) -> Result<(Bytes, Option<Usage>), AttemptFailure> {
        let (body, inspected) = readable(body);
        match inspected {
            Inspected::Answer(_)
                if self.route.minds_content_filter() && is_emptied_by_filter(&body) =>
            {
                Err(AttemptFailure::bare(Failure::ContentFilter(200)))
            }
            Inspected::Answer(usage) => Ok((without_secrets(body, pool), usage)),
            Inspected::Failed(Failure::Reset, None) => Err(no_answer(headers, &body, pool)),
            Inspected::Failed(failure, error) => Err(AttemptFailure::told(
                failure,
                error.map_or(Told::Nothing, Told::Object),
            )),
        }
    }

    pub(crate) async fn send(
        &self,
        attempting: &Attempting<'_>,
        timeouts: Timeouts,
    ) -> Result<InboundResponse<Unpacking<S::Body>>, AttemptFailure> {
        let sent = self.sender.send(self.outbound(attempting, timeouts)).await;
        let response =
            sent.map_err(|error| AttemptFailure::of_send(&error, attempting.upstream))?;
        Ok(InboundResponse {
            body: Unpacking::of(&response.headers, response.body),
            status: response.status,
            headers: response.headers,
        })
    }

    /// Reads the body of a success; turns any other status into a failure with its body.
    pub(crate) async fn read_success(
        &self,
        upstream: &Upstream,
        mut response: InboundResponse<Unpacking<S::Body>>,
    ) -> Result<(Headers, Bytes), AttemptFailure> {
        if response.status.is_success() {
            let length = response
                .headers
                .text("content-length")
                .and_then(|length| length.parse().ok())
                .unwrap_or_default();
            let read = read_whole(&mut response.body, Bytes::new(), length, &self.in_hand).await;
            let body = read.map_err(|error| error.into_failure(upstream))?;
            return Ok((response.headers, body));
        }
        let status = response.status.as_u16();
        if !(400..=599).contains(&status) {
            // Nothing that a client of this API could make sense of: a redirect, an upgrade, no status at all.
            return Err(AttemptFailure::bare(Failure::Reset));
        }
        let body = read_error(&mut response.body).await;
        Err(AttemptFailure {
            retry_after: retry_after(&response.headers, self.clock.since_1970()),
            ..AttemptFailure::told(
                failure_of(status, &body),
                Told::Answer {
                    status: response.status,
                    headers: response.headers,
                    body,
                },
            )
        })
    }

    /// Reads on where the beginning is in hand.
    pub(crate) async fn read_rest(
        &self,
        upstream: &Upstream,
        beginning: Bytes,
        mut response: InboundResponse<Unpacking<S::Body>>,
    ) -> Result<Bytes, AttemptFailure> {
        read_whole(&mut response.body, beginning, 0, &self.in_hand)
            .await
            .map_err(|error| error.into_failure(upstream))
    }

    fn outbound(&self, attempting: &Attempting<'_>, timeouts: Timeouts) -> OutboundRequest {
        let mut headers = self.headers.clone();
        attempting.place.forward(self.forwardable, &mut headers);
        headers.append("content-type", "application/json");
        let accept = if self.request.stream {
            "text/event-stream, application/json"
        } else {
            "application/json"
        };
        headers.append("accept", accept);
        // The gateway reads what comes back; packed, it would cost both sides time.
        headers.append("accept-encoding", "identity");
        if let Some(secret) = attempting.secret() {
            headers.append("authorization", format!("Bearer {secret}"));
        }
        let upstream = attempting.upstream;
        let model = attempting.place.model_there(self.asked_model());
        let body = if attempting.asks_usage() {
            self.request.body_for(model)
        } else {
            self.request.body_without_usage_for(model)
        };
        OutboundRequest {
            method: http::Method::POST,
            scheme: upstream.scheme.clone(),
            authority: upstream.authority.clone(),
            path_and_query: format!("{}{}", upstream.base_path, self.operation.path()),
            headers,
            body: body.into(),
            timeouts,
        }
    }

    pub(crate) fn timeouts_of_stream(attempting: &Attempting<'_>) -> Timeouts {
        let first = attempting.limit(true);
        Timeouts {
            connect: connect_timeout(first),
            first_byte: first,
            between_bytes: attempting.place.between_pieces,
        }
    }

    /// Whether an answer of this target is one to what was asked: vectors of two models cannot be compared.
    pub(crate) fn may_answer(&self, place: &TargetPlace) -> bool {
        self.operation != Operation::Embeddings
            || self.route.embeds_alike(place, self.asked_model())
    }

    pub(crate) fn asked_model(&self) -> &str {
        &self.request.model
    }

    pub(crate) fn served(&self, place: &TargetPlace) -> Served {
        Served {
            provider: place.provider().to_owned(),
            model: place.model_for(self.asked_model()).to_owned(),
            request_id: None,
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.now().saturating_sub(self.arrived)
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

/// An error's text, as far as it is told: an error is one even if its text broke off.
async fn read_error<B: IncomingBody>(body: &mut B) -> Bytes {
    let mut text = BytesMut::new();
    while text.len() <= MAX_ERROR_BYTES {
        match body.next().await {
            Ok(Some(piece)) => text.extend_from_slice(&piece),
            // In a packing that is not known.
            Err(SendError::Other(words)) if text.is_empty() => return words.into(),
            _ => break,
        }
    }
    text.freeze()
}

/// An answer that could not be read whole.
enum ReadError {
    Send(SendError),
    NoRoom,
    TooLarge,
}

impl ReadError {
    fn into_failure(self, upstream: &Upstream) -> AttemptFailure {
        match self {
            Self::Send(error) => AttemptFailure::of_send(&error, upstream),
            Self::NoRoom => AttemptFailure::told(Failure::NoRoom, Told::NoRoom),
            Self::TooLarge => AttemptFailure::in_words(
                Failure::TooLarge,
                "The model's answer is larger than 64 MiB, the most that the gateway reads.",
            ),
        }
    }
}

/// Reads to the end what begins so; `length` is what the provider says it is, 0 where it does not.
async fn read_whole<B: IncomingBody>(
    body: &mut B,
    beginning: Bytes,
    length: usize,
    in_hand: &Arc<BytesInHand>,
) -> Result<Bytes, ReadError> {
    if length > MAX_ANSWER_BYTES {
        return Err(ReadError::TooLarge);
    }
    let mut room = in_hand.room(length).map_err(|NoRoom| ReadError::NoRoom)?;
    if !may_grow(body, 0, length).await {
        return Err(ReadError::NoRoom);
    }
    let mut whole = BytesMut::from(beginning);
    whole.reserve(length);
    while let Some(piece) = body.next().await.map_err(ReadError::Send)? {
        let size = whole.len().saturating_add(piece.len());
        if size > MAX_ANSWER_BYTES {
            return Err(ReadError::TooLarge);
        }
        room.reach(size).map_err(|NoRoom| ReadError::NoRoom)?;
        if size > length && !may_grow(body, whole.len(), size).await {
            return Err(ReadError::NoRoom);
        }
        whole.extend_from_slice(&piece);
    }
    Ok(room.filled(whole))
}
