//! One call through its route's targets.
//!
//! A failure leads on to the next target only while nothing of an answer has reached the client: a complete
//! answer is read whole before it goes out, a stream is held back until its first content.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use spillway_failover::{Chain, Failure};
use spillway_platform::{
    Clock, Headers, InboundResponse, IncomingBody, OutboundRequest, SendError, Sender, Timeouts,
};
use spillway_telemetry::Reason;

use crate::answer::{AttemptFailure, Told};
use crate::{
    Attempt, CallAnswer, Inspected, ModelRequest, Operation, Route, Served, TargetPlace, Usage,
    inspect,
};

/// The longest answer that is read whole: 64 MiB, above any batch of embeddings.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Until a connection to a provider stands: 10 s, as Dify's own clients allow.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client's call, its route found.
#[derive(Debug)]
pub struct Call<'a, S, C> {
    /// How to send.
    pub sender: &'a S,
    /// What time it is.
    pub clock: &'a C,
    /// The route that serves.
    pub route: &'a Route,
    /// The endpoint.
    pub operation: Operation,
    /// The request.
    pub request: &'a ModelRequest<'a>,
    /// Header fields to send along.
    pub headers: &'a Headers,
    /// When the call arrived, by `clock`.
    pub arrived: Duration,
    /// The call's number: the next call's is one higher, so that a provider's keys are used in turn.
    pub number: u32,
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
}

impl<S: Sender, C: Clock> Call<'_, S, C> {
    /// Serves a call whose answer comes in one piece.
    pub async fn complete(&self) -> Completed {
        let mut progress = Tries::new(self);
        while let Some((index, place)) = progress.next() {
            let began = self.clock.now();
            let attempt = self.attempt_complete(place, index);
            let deadline = self.clock.sleep(place.timeout);
            // The deadline first: on Spin, whatever is done between a send and the next turn of the event loop
            // makes it likelier that head and body leave apart.
            let outcome = match select(std::pin::pin!(deadline), std::pin::pin!(attempt)).await {
                Either::Left(((), _)) => Err(AttemptFailure::bare(Failure::Timeout)),
                Either::Right((outcome, _)) => outcome,
            };
            match outcome {
                Ok((headers, body, usage)) => {
                    progress.record(index, None, began);
                    let answer = CallAnswer::served(progress.served_reason(), &headers, body);
                    return Completed {
                        answer,
                        served: Some(self.served(place)),
                        attempts: progress.attempts,
                        usage,
                    };
                }
                Err(failure) => {
                    if !progress.fail(index, place, failure, began) {
                        break;
                    }
                }
            }
        }
        let served = progress.last_place().map(|place| self.served(place));
        let (answer, attempts) = progress.give_up();
        Completed {
            answer,
            served,
            attempts,
            usage: None,
        }
    }

    async fn attempt_complete(
        &self,
        place: &TargetPlace,
        index: usize,
    ) -> Result<(Headers, Bytes, Option<Usage>), AttemptFailure> {
        let timeouts = Timeouts {
            connect: CONNECT_TIMEOUT.min(place.timeout),
            first_byte: place.timeout,
            between_bytes: place.timeout,
        };
        let response = self.send(place, index, timeouts).await?;
        let (headers, body) = self.read_success(place, response).await?;
        match inspect(&body) {
            Inspected::Answer(usage) => Ok((headers, body, usage)),
            Inspected::Failed(failure, error) => Err(AttemptFailure::told(
                failure,
                error.map_or(Told::Nothing, Told::Object),
            )),
        }
    }

    pub(crate) async fn send(
        &self,
        place: &TargetPlace,
        index: usize,
        timeouts: Timeouts,
    ) -> Result<InboundResponse<S::Body>, AttemptFailure> {
        self.sender
            .send(self.outbound(place, index, timeouts))
            .await
            .map_err(|error| AttemptFailure::of_send(&error, place))
    }

    /// Reads the body of a success; turns any other status into a failure with its body.
    pub(crate) async fn read_success(
        &self,
        place: &TargetPlace,
        mut response: InboundResponse<S::Body>,
    ) -> Result<(Headers, Bytes), AttemptFailure> {
        let read = read_whole(&mut response.body).await;
        if response.status.is_success() {
            let body = read.map_err(|error| AttemptFailure::of_send(&error, place))?;
            return Ok((response.headers, body));
        }
        if !(400..=599).contains(&response.status.as_u16()) {
            // Nothing that a client of this API could make sense of: a redirect, an upgrade, no status at all.
            return Err(AttemptFailure::bare(Failure::Reset));
        }
        let told = Told::Answer {
            status: response.status,
            headers: response.headers,
            // An error is an error even if its text broke off.
            body: read.unwrap_or_default(),
        };
        Err(AttemptFailure::told(
            Failure::Status(response.status.as_u16()),
            told,
        ))
    }

    /// Reads on where the beginning is in hand.
    pub(crate) async fn read_rest(
        &self,
        place: &TargetPlace,
        beginning: Bytes,
        mut response: InboundResponse<S::Body>,
    ) -> Result<Bytes, AttemptFailure> {
        let mut whole = BytesMut::from(beginning);
        let rest = read_whole(&mut response.body).await;
        let rest = rest.map_err(|error| AttemptFailure::of_send(&error, place))?;
        whole.extend_from_slice(&rest);
        Ok(whole.freeze())
    }

    fn outbound(&self, place: &TargetPlace, index: usize, timeouts: Timeouts) -> OutboundRequest {
        let mut headers = self.headers.clone();
        headers.append("content-type", "application/json");
        let accept = if self.request.stream {
            "text/event-stream, application/json"
        } else {
            "application/json"
        };
        headers.append("accept", accept);
        // The gateway reads what comes back, so it must not be compressed.
        headers.append("accept-encoding", "identity");
        let turn = usize::try_from(self.number)
            .unwrap_or_default()
            .wrapping_add(index);
        let turn = turn.checked_rem(place.api_keys.len()).unwrap_or_default();
        if let Some(key) = place.api_keys.get(turn) {
            headers.append("authorization", format!("Bearer {key}"));
        }
        OutboundRequest {
            method: http::Method::POST,
            scheme: place.upstream.scheme.clone(),
            authority: place.upstream.authority.clone(),
            path_and_query: format!("{}{}", place.upstream.base_path, self.operation.path()),
            headers,
            body: self.request.body_for(self.model(place)).into(),
            timeouts,
        }
    }

    pub(crate) fn timeouts_of_stream(&self, place: &TargetPlace) -> Timeouts {
        Timeouts {
            connect: CONNECT_TIMEOUT.min(place.first_token_timeout),
            first_byte: place.first_token_timeout,
            between_bytes: place.timeout,
        }
    }

    fn model<'p>(&'p self, place: &'p TargetPlace) -> &'p str {
        place.model.as_deref().unwrap_or(&self.request.model)
    }

    pub(crate) fn served(&self, place: &TargetPlace) -> Served {
        Served {
            provider: place.provider.clone(),
            model: self.model(place).to_owned(),
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.now().saturating_sub(self.arrived)
    }
}

async fn read_whole<B: IncomingBody>(body: &mut B) -> Result<Bytes, SendError> {
    let Some(first) = body.next().await? else {
        return Ok(Bytes::new());
    };
    let Some(second) = body.next().await? else {
        return Ok(first);
    };
    let mut whole = BytesMut::from(first.as_ref());
    whole.extend_from_slice(&second);
    while let Some(piece) = body.next().await? {
        if whole.len().saturating_add(piece.len()) > MAX_ANSWER_BYTES {
            return Err(SendError::Other(
                "the answer is larger than 64 MiB".to_owned(),
            ));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// What has been tried so far.
pub(crate) struct Tries<'c, 'a, S, C> {
    call: &'c Call<'a, S, C>,
    chain: Chain<'c>,
    last: Option<(&'c TargetPlace, AttemptFailure)>,
    pub attempts: Vec<Attempt>,
}

impl<'c, 'a, S: Sender, C: Clock> Tries<'c, 'a, S, C> {
    pub fn new(call: &'c Call<'a, S, C>) -> Self {
        let chain = Chain::new(call.route.targets.len(), &call.route.fallback);
        Self {
            call,
            chain,
            last: None,
            attempts: Vec::new(),
        }
    }

    pub fn next(&mut self) -> Option<(usize, &'c TargetPlace)> {
        let index = self.chain.next(self.call.elapsed())?;
        self.call
            .route
            .targets
            .get(index)
            .map(|place| (index, place))
    }

    pub fn record(&mut self, target: usize, failure: Option<Failure>, began: Duration) {
        self.record_with(target, failure, began, None);
    }

    fn record_with(
        &mut self,
        target: usize,
        failure: Option<Failure>,
        began: Duration,
        detail: Option<String>,
    ) {
        let took = self.call.clock.now().saturating_sub(began);
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.attempts.push(Attempt {
            target,
            failure,
            milliseconds,
            detail,
        });
    }

    /// Notes a failure; says whether it leads on.
    pub fn fail(
        &mut self,
        target: usize,
        place: &'c TargetPlace,
        failed: AttemptFailure,
        began: Duration,
    ) -> bool {
        self.record_with(target, Some(failed.failure), began, failed.detail.clone());
        let leads_on = self.chain.leads_on(failed.failure);
        self.last = Some((place, failed));
        leads_on
    }

    pub fn served_reason(&self) -> Reason {
        if self.chain.attempts() > 1 {
            Reason::Fallback
        } else {
            Reason::Ok
        }
    }

    pub fn last_place(&self) -> Option<&'c TargetPlace> {
        self.last.as_ref().map(|(place, _)| *place)
    }

    /// The answer when nobody served.
    pub fn give_up(self) -> (CallAnswer, Vec<Attempt>) {
        let trail: Vec<String> = self
            .attempts
            .iter()
            .filter_map(|attempt| {
                let place = self.call.route.targets.get(attempt.target)?;
                Some(format!("{}: {}", place.provider, attempt.failure?.label()))
            })
            .collect();
        let answer = match self.last {
            Some((place, failed)) => failed.into_answer(&trail.join(", "), &place.api_keys),
            None => CallAnswer::error(
                http::StatusCode::INTERNAL_SERVER_ERROR,
                Reason::Misconfigured,
                "The route has no targets. `spillway check gateway.yaml` shows where.",
            ),
        };
        (answer, self.attempts)
    }
}
