//! One request on its way, and how it is counted.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use spillway_forward::{Answer, Destination, ForwardedHeaders, REQUEST_ID};
use spillway_platform::{Headers, Platform, RequestHead};
use spillway_telemetry::{Api, Reason};

use super::AgentRuntime;

/// One request on its way.
pub(super) struct Exchange<P: Platform> {
    pub runtime: Arc<AgentRuntime<P>>,
    /// When it came.
    pub arrived: Duration,
    /// Its `X-Request-Id`.
    pub id: String,
    pub head: RequestHead,
    /// What the client asked for, and who it is.
    pub claims: ForwardedHeaders,
}

impl<P: Platform> Exchange<P> {
    /// Counts the request, its answer being on the way.
    pub fn count(&self, api: &str, route: &str, status: StatusCode, reason: Reason) {
        let took = self.runtime.platform.now().saturating_sub(self.arrived);
        self.runtime.meter.count(|counters| {
            counters.request(Api::Agent, api, route, status.as_u16(), reason, took);
        });
    }

    /// Counts and sends an answer of the gateway's own; `destination` where one was found.
    pub async fn own_answer(
        &self,
        destination: Option<&Destination>,
        answer: Answer,
        mut headers: Headers,
    ) -> Result<P::Response, P::Error> {
        let (api, route) = destination.map_or(("", ""), |found| (&*found.api, &*found.route));
        self.own_answer_of(api, route, destination, answer, &mut headers)
            .await
    }

    /// As [`Self::own_answer`], for an API of which no route was found.
    pub async fn not_routed(&self, api: &str, answer: Answer) -> Result<P::Response, P::Error> {
        self.own_answer_of(api, "", None, answer, &mut Headers::default())
            .await
    }

    async fn own_answer_of(
        &self,
        api: &str,
        route: &str,
        destination: Option<&Destination>,
        answer: Answer,
        headers: &mut Headers,
    ) -> Result<P::Response, P::Error> {
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
        let headers = std::mem::take(headers);
        let platform = &self.runtime.platform;
        platform
            .respond(answer.status, headers, answer.body.into())
            .await
    }

    /// Tells the client the request's name, unless the back end has told one.
    pub fn name(&self, headers: &mut Headers) {
        if !headers.contains(REQUEST_ID) {
            headers.append(REQUEST_ID, self.id.as_str());
        }
    }
}
