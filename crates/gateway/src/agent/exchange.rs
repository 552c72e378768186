//! One request on its way.

use std::sync::Arc;

use http::StatusCode;
use spillway_forward::{Answer, Destination, ForwardedHeaders, REQUEST_ID};
use spillway_platform::{Headers, Platform, RequestHead};
use spillway_telemetry::{Label, Reason};

use super::AgentRuntime;
use crate::Settlement;

/// One request on its way.
pub(super) struct Exchange<P: Platform> {
    pub runtime: Arc<AgentRuntime<P>>,
    pub settlement: Settlement<P>,
    pub head: RequestHead,
    /// What the client asked for, and who it is.
    pub claims: ForwardedHeaders,
}

impl<P: Platform> Exchange<P> {
    /// Says where the request goes.
    pub fn found(&mut self, destination: &Destination) {
        self.settlement.record.name = Arc::clone(&destination.api).into();
        self.settlement.record.route = Label::from(&destination.route);
    }

    /// Its `X-Request-Id`.
    pub fn id(&self) -> &str {
        &self.settlement.record.request_id
    }

    /// Answers in the gateway's own name; `destination` where one was found.
    pub async fn reply(
        mut self,
        destination: Option<&Destination>,
        answer: Answer,
        mut headers: Headers,
    ) -> Result<P::Response, P::Error> {
        self.settlement.set(answer.status, answer.reason);
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
            cors.apply(&self.head, &mut headers);
        }
        self.name(&mut headers);
        self.respond(answer.status, headers, answer.body.into())
            .await
    }

    /// Tells the client the request's name, unless the back end has told one.
    pub fn name(&self, headers: &mut Headers) {
        if !headers.contains(REQUEST_ID) {
            headers.append(REQUEST_ID, self.id());
        }
    }

    async fn respond(
        self,
        status: StatusCode,
        headers: Headers,
        body: bytes::Bytes,
    ) -> Result<P::Response, P::Error> {
        let platform = &self.runtime.platform;
        platform.respond(status, headers, body).await
    }
}
