//! One model call on its way.

use std::sync::Arc;

use spillway_forward::REQUEST_ID;
use spillway_llm::{InputTokens, ModelApi, Operation, Served};
use spillway_platform::{Headers, Platform, RequestHead};
use spillway_surface::{LocalReply, Rendered, Surface};

use super::ModelRuntime;
use super::headers::{append_quota, describe};
use super::identify::Unlisted;
use crate::Settlement;

/// One request on its way.
pub(super) struct ModelExchange<P: Platform> {
    pub runtime: Arc<ModelRuntime<P>>,
    pub settlement: Settlement<P>,
    pub head: RequestHead,
    /// The form that its client reads errors in.
    pub surface: Surface,
    /// Header fields that tell the client of its limits.
    pub quota: Vec<(&'static str, String)>,
    /// The gateway's own limits refused the first target.
    pub skips_first: bool,
    /// The call's number, where it had to be known before the call: the next call's is one higher.
    pub number: Option<u32>,
    /// How many tokens its input comes to, where that matters.
    pub input: Option<InputTokens>,
}

/// What a request asks for, as far as its head tells, of a caller who may ask.
pub(super) struct CallEntry {
    pub api: Arc<ModelApi>,
    pub operation: Operation,
    /// The path below the API's, with its `/v1`.
    pub path: String,
    /// No endpoint that the gateway knows: it needs a route that lists it.
    pub unlisted: Option<Unlisted>,
    /// The model's name, of `GET /models/{id}`, as it stands in the path.
    pub id: Option<String>,
    /// What the body's MD5 must be, where the client signed it.
    pub content_md5: Option<String>,
    /// Header fields that go on to the provider, whichever it is.
    pub headers: Headers,
    /// Those that go on to providers whose configuration says so.
    pub forwardable: Headers,
}

impl<P: Platform> ModelExchange<P> {
    /// Its `X-Request-Id`: in the log, to the provider, and to the client.
    pub fn id(&self) -> &str {
        &self.settlement.record.request_id
    }

    /// Who calls, where that is a consumer.
    pub fn consumer(&self) -> Option<&str> {
        self.settlement.record.consumer.as_deref()
    }

    /// Answers in the gateway's own name: no provider had a part in it.
    pub async fn reply(mut self, reply: LocalReply) -> Result<P::Response, P::Error> {
        self.settlement.set(reply.status, reply.reason);
        let rendered = self.surface.render(reply);
        self.respond(rendered).await
    }

    /// Answers with what a call came to, and says who served, after how many attempts.
    pub async fn answer(
        self,
        mut answer: Rendered,
        served: Option<&Served>,
        attempts: usize,
    ) -> Result<P::Response, P::Error> {
        describe(&mut answer.headers, served, attempts);
        append_quota(&mut answer.headers, &self.quota);
        self.respond(answer).await
    }

    async fn respond(self, mut answer: Rendered) -> Result<P::Response, P::Error> {
        answer.headers.append(REQUEST_ID, self.id());
        let platform = &self.runtime.platform;
        platform
            .respond(answer.status, answer.headers, answer.body)
            .await
    }
}
