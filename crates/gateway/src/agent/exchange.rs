//! One request on its way.

use std::sync::Arc;

use spillway_forward::{Destination, ForwardedHeaders, REQUEST_ID};
use spillway_platform::{Headers, Platform, RequestHead};
use spillway_surface::{LocalReply, Surface};

use super::AgentRuntime;
use crate::Settlement;

/// One request on its way.
pub(super) struct AgentExchange<P: Platform> {
    pub runtime: Arc<AgentRuntime<P>>,
    pub settlement: Settlement<P>,
    pub head: RequestHead,
    /// What the client asked for, and who it is.
    pub claims: ForwardedHeaders,
}

impl<P: Platform> AgentExchange<P> {
    /// Its `X-Request-Id`.
    pub fn id(&self) -> &str {
        &self.settlement.record.request_id
    }

    /// Answers in the gateway's own name; `destination` where one was found.
    pub async fn reply(
        mut self,
        destination: Option<&Destination>,
        reply: LocalReply,
    ) -> Result<P::Response, P::Error> {
        let surface = destination.map_or_else(|| surface_of(&self.head), |found| found.surface);
        let mut rendered = surface.render(reply);
        self.settlement.set(rendered.status, rendered.reason);
        if let Some(cors) = destination.and_then(|found| found.rules.cors.as_ref())
            && !rendered.headers.contains("vary")
        {
            cors.apply(&self.head, &mut rendered.headers);
        }
        self.name(&mut rendered.headers);
        let platform = &self.runtime.platform;
        platform
            .respond(rendered.status, rendered.headers, rendered.body)
            .await
    }

    /// Tells the client the request's name, unless the back end has told one.
    pub fn name(&self, headers: &mut Headers) {
        if !headers.contains(REQUEST_ID) {
            headers.append(REQUEST_ID, self.id());
        }
    }
}

/// Where no service is known: a page for a browser, Dify's JSON for everybody else.
fn surface_of(head: &RequestHead) -> Surface {
    let wants_page = head
        .headers
        .text("accept")
        .is_some_and(|accept| accept.contains("text/html"));
    if wants_page {
        Surface::Page
    } else {
        Surface::Dify
    }
}
