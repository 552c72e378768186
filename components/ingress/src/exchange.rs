//! One request on its way, and how it is counted.

use std::time::Duration;

use http::StatusCode;
use spillway_forward::{Answer, Destination, ForwardedHeaders, REQUEST_ID};
use spillway_platform::{Clock, Headers, RequestHead};
use spillway_platform_spin::{self as spin, ErrorCode, Response, SpinClock};
use spillway_telemetry::{Api, Reason};

use crate::Instance;

/// One request on its way.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub instance: &'static Instance,
    /// When it came.
    pub arrived: Duration,
    /// Its `X-Request-Id`.
    pub id: String,
    pub head: RequestHead,
    /// What the client asked for, and who it is.
    pub claims: ForwardedHeaders,
}

impl Exchange {
    /// Counts the request, its answer being on the way.
    pub fn count(&self, api: &str, route: &str, status: StatusCode, reason: Reason) {
        let took = SpinClock.now().saturating_sub(self.arrived);
        self.instance.meter.count(|counters| {
            counters.request(Api::Agent, api, route, status.as_u16(), reason, took);
        });
    }

    /// Counts and sends an answer of the gateway's own; `destination` where one was found.
    pub async fn own_answer(
        &self,
        destination: Option<&Destination<'_>>,
        answer: Answer,
        mut headers: Headers,
    ) -> Result<Response, ErrorCode> {
        let (api, route) = destination.map_or(("", ""), |found| (found.api, found.route));
        self.own_answer_of(api, route, destination, answer, &mut headers)
            .await
    }

    /// As [`Self::own_answer`], for an API of which no route was found.
    pub async fn not_routed(&self, api: &str, answer: Answer) -> Result<Response, ErrorCode> {
        self.own_answer_of(api, "", None, answer, &mut Headers::default())
            .await
    }

    async fn own_answer_of(
        &self,
        api: &str,
        route: &str,
        destination: Option<&Destination<'_>>,
        answer: Answer,
        headers: &mut Headers,
    ) -> Result<Response, ErrorCode> {
        self.count(api, route, answer.status, answer.reason);
        if !answer.body.is_empty() {
            headers.append("content-type", answer.content_type);
        }
        headers.append("x-gateway-reason", answer.reason.as_str());
        if answer.reason == Reason::Overloaded {
            headers.set("retry-after", "1");
        }
        if let Some(cors) = destination.and_then(|found| found.rules.cors.as_ref())
            && !headers.contains("vary")
        {
            cors.apply(&self.head, headers);
        }
        self.name(headers);
        spin::respond(answer.status, std::mem::take(headers), answer.body.into()).await
    }

    /// Tells the client the request's name, unless the back end has told one.
    pub fn name(&self, headers: &mut Headers) {
        if !headers.contains(REQUEST_ID) {
            headers.append(REQUEST_ID, self.id.as_str());
        }
    }
}
