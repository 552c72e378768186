//! One call: what is sent, to which of its route's targets, and what its client gets where nobody serves.
//!
//! A call goes on to the next target only while nothing of an answer has reached the client: a complete
//! answer is read whole before it goes out, a stream is held back until its first content. (Its head, and comments that
//! keep it alive, may be out by then.)

use std::sync::Arc;
use std::time::Duration;

use spillway_config::Fallback;
use spillway_platform::{
    BytesInHand, Clock, Headers, InboundResponse, OutboundRequest, Sender, Timeouts,
};
use spillway_surface::{LocalReply, Surface};
use spillway_telemetry::Reason;
use spillway_upstream::{Attempts, Budget, GaveUp, PoolWatch, Target};

use crate::answer::not_sent;
use crate::attempt_failure::{AttemptFailure, FailureReply, of_send, unsupported};
use crate::estimate::estimate_answer;
use crate::target::PlacedAttempt;
use crate::unpacking::Unpacking;
use crate::{
    CallProgress, InputTokens, ModelRequest, Operation, Route, Served, StreamOptionsSent,
    TargetPlace, Usage,
};

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
    /// Who is told of endpoints and keys that are ejected.
    pub watch: &'a W,
    /// How much may be tried again.
    pub budget: &'a Budget,
    /// The route that serves.
    pub route: &'a Route,
    /// The endpoint.
    pub operation: Operation,
    /// The form that its client reads errors in.
    pub surface: Surface,
    /// The model asked for; empty: none was named.
    pub model: &'a str,
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
    /// How many tokens its input comes to, where that matters: to context windows, or to limits of tokens.
    pub input: Option<InputTokens>,
    /// What the instance holds of answers.
    pub in_hand: Arc<BytesInHand>,
    /// Where the call tells how it goes.
    pub progress: &'a CallProgress,
}

impl<'a, S: Sender, C: Clock, W: PoolWatch> Call<'a, S, C, W> {
    /// The loop over the targets of the route that may answer.
    pub(crate) fn attempts<'b>(
        &'b self,
        fallback: &'b Fallback,
    ) -> Attempts<'b, C, W, &'a TargetPlace> {
        // The route's first is what the limit protects, whichever was drawn to be the call's.
        let first = self.route.targets.first().filter(|_| self.skips_first);
        let is_skipped =
            |place: &&TargetPlace| first.is_some_and(|first| std::ptr::eq(first, *place));
        let places = self.route.in_order(self.number);
        let places = places.filter(|place| !is_skipped(place) && self.may_answer(place));
        Attempts {
            clock: self.clock,
            watch: self.watch,
            budget: self.budget,
            fallback,
            targets: places.map(|place| self.target(place)).collect(),
            consumer: self.consumer,
            arrived: self.arrived,
            sequence: self.number,
            has_affinity: false,
            log: &self.progress.attempts,
        }
    }

    pub(crate) fn target<'b>(&'b self, place: &'a TargetPlace) -> Target<'b, &'a TargetPlace> {
        Target {
            target: place,
            pool: &place.pool,
            model: place.model_for(self.model),
            model_label: place.model_label(self.model),
        }
    }

    /// What the client gets where nobody served.
    pub(crate) fn give_up(
        &self,
        gave_up: GaveUp<FailureReply>,
        target: Option<&TargetPlace>,
    ) -> LocalReply {
        self.progress.set_stop(gave_up.stop);
        if let (Some(last), Some(place)) = (gave_up.last, target) {
            let attempts = self.progress.attempts.records(self.clock.now());
            let trail: Vec<String> = attempts
                .iter()
                .filter_map(|attempt| {
                    let failure = attempt.failure?;
                    Some(format!("{}: {}", attempt.provider, failure.label()))
                })
                .collect();
            let trail = trail.join(", ");
            return last.reply.into_reply(last.failure, &trail, &place.pool);
        }
        let places = self.route.targets.iter();
        let mut providers: Vec<&str> = places.map(TargetPlace::provider).collect();
        providers.dedup();
        not_sent(gave_up.stop, &providers.join(", "))
    }

    pub(crate) async fn send(
        &self,
        request: &ModelRequest,
        attempt: &PlacedAttempt<'_>,
        stream_options: StreamOptionsSent,
        timeouts: Timeouts,
    ) -> Result<InboundResponse<Unpacking<S::Body>>, AttemptFailure> {
        let outbound = self.outbound(request, attempt, stream_options, timeouts)?;
        let sent = self.sender.send(outbound).await;
        let response = sent.map_err(|error| of_send(error, attempt.upstream()))?;
        Ok(InboundResponse {
            body: Unpacking::of(&response.headers, response.body),
            status: response.status,
            headers: response.headers,
        })
    }

    fn outbound(
        &self,
        request: &ModelRequest,
        attempt: &PlacedAttempt<'_>,
        stream_options: StreamOptionsSent,
        timeouts: Timeouts,
    ) -> Result<OutboundRequest, AttemptFailure> {
        let mut headers = self.headers.clone();
        attempt.target.forward(self.forwardable, &mut headers);
        headers.append("content-type", "application/json");
        let accept = if request.stream {
            "text/event-stream, application/json"
        } else {
            "application/json"
        };
        headers.append("accept", accept);
        // The gateway reads what comes back; packed, it would cost both sides time.
        headers.append("accept-encoding", "identity");
        let (upstream, dialect) = (attempt.upstream(), attempt.target.dialect());
        dialect.authorize(attempt.secret(), &mut headers);
        let model = attempt.target.model_there(self.model);
        let body = dialect
            .encode(request, model, stream_options)
            .map_err(|error| unsupported(&error.to_string()))?;
        let path_and_query = dialect
            .endpoint(self.operation, upstream)
            .ok_or_else(|| unsupported("This model has no such endpoint."))?;
        Ok(OutboundRequest {
            method: http::Method::POST,
            scheme: upstream.scheme.clone(),
            authority: upstream.authority.clone(),
            path_and_query,
            headers,
            body: body.into(),
            timeouts,
        })
    }

    /// Whether this target can answer the call.
    pub(crate) fn may_answer(&self, place: &TargetPlace) -> bool {
        self.route.may_answer(place, self.operation, self.model) && place.takes(self.input)
    }

    /// Why the call is served as it is: by its first choice at once, or not.
    pub(crate) fn served_reason(&self, attempt: &PlacedAttempt<'_>) -> Reason {
        if attempt.is_first_choice && !self.skips_first {
            Reason::Ok
        } else {
            Reason::Fallback
        }
    }

    pub(crate) fn served(&self, place: &TargetPlace) -> Served {
        let model = if self.model.is_empty() {
            ""
        } else {
            place.model_for(self.model)
        };
        Served {
            provider: place.provider().to_owned(),
            model: model.to_owned(),
            request_id: None,
            left_out: Vec::new(),
        }
    }

    /// The same of a request that was translated for it.
    pub(crate) fn served_with(&self, place: &TargetPlace, request: &ModelRequest) -> Served {
        let left_out = place.dialect().left_out(request);
        Served {
            left_out: left_out.into_iter().map(str::to_owned).collect(),
            ..self.served(place)
        }
    }

    /// Notes the tokens of an answer in one piece, which are estimated where a limit needs them and nobody tells.
    pub(crate) fn set_usage(&self, usage: Option<Usage>, body: &[u8]) {
        let estimated_output = match (usage, self.input) {
            (None, Some(_)) => estimate_answer(body),
            _ => 0,
        };
        self.progress.set_usage(usage, estimated_output);
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.now().saturating_sub(self.arrived)
    }
}
