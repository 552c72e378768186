//! A knowledge request's path: find the API, check the key, count, read the body, retrieve.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use spillway_forward::REQUEST_ID;
use spillway_knowledge::{Api, Catalogue, MAX_REQUEST_BYTES, Retrieval, RetrievalReply};
use spillway_limit::{Due, RequestFacts};
use spillway_platform::{Platform, ReceiveError, RequestHead};
use spillway_surface::Surface;
use spillway_telemetry::{Api as ApiKind, Detail, Retrieval as Retrieved};

use crate::runtime::configuration;
use crate::{Log, Passage, Runtime, Settlement};

/// What an instance knows that serves knowledge APIs.
pub type KnowledgeRuntime<P> = Runtime<P, Catalogue>;

/// Reads the configuration.
///
/// # Errors
/// What is wrong, for the operator.
pub async fn start<P: Platform>(platform: P) -> Result<KnowledgeRuntime<P>, String> {
    let gateway = configuration(&platform).await?;
    let catalogue = Catalogue::new(&gateway).map_err(|error| error.to_string())?;
    let rate_limits = gateway
        .knowledge
        .iter()
        .map(|api| (api.name.as_str(), api.policies.rate_limits.as_slice()));
    Runtime::new(platform, &gateway, "knowledge", rate_limits, |_| catalogue)
}

/// Answers a request.
///
/// # Errors
/// The platform's, where there can be no answer.
pub async fn handle<P: Platform>(
    runtime: &Arc<KnowledgeRuntime<P>>,
    request: P::Request,
) -> Result<P::Response, P::Error> {
    let platform = &runtime.platform;
    let head = platform.head(&request);
    let (mut settlement, _) = Settlement::begin(runtime, ApiKind::Knowledge, &head);
    let found = runtime.apis.api(head.path());
    let mut backend = "";
    let reply = match found {
        Err(reply) => reply,
        Ok(api) => {
            settlement.record.name = api.name.clone().into();
            backend = api.backend;
            admitted(runtime, &mut settlement, api, &head, request).await
        }
    };
    settlement.record.detail = Detail::Retrieval(Retrieved {
        backend,
        outcome: reply.outcome.as_str(),
        records: reply.records,
        query: reply.query.map(String::from),
        detail: reply.detail.map(String::from),
    });
    settlement.set(reply.local.status, reply.local.reason);
    let mut rendered = Surface::Knowledge.render(*reply.local);
    let id = settlement.record.request_id.as_str();
    rendered.headers.append(REQUEST_ID, id);
    platform
        .respond(rendered.status, rendered.headers, rendered.body)
        .await
}

/// Answers a request for this API, if it may come in.
async fn admitted<P: Platform>(
    runtime: &KnowledgeRuntime<P>,
    settlement: &mut Settlement<P>,
    api: &Api,
    head: &RequestHead,
    request: P::Request,
) -> RetrievalReply {
    if head.headers.is_too_large() {
        return RetrievalReply::headers_too_large();
    }
    let caller = match api.admit(head) {
        Ok(caller) => caller,
        Err(reply) => return reply,
    };
    settlement.record.consumer = caller.name().map(Into::into);
    let consumer = settlement.record.consumer.as_deref();
    let client = settlement.record.client;
    match limited(runtime, api, head, consumer, client).await {
        Err(reply) => reply,
        Ok(quota) => {
            let mut reply = retrieve(runtime, api, request, settlement.arrived).await;
            for (name, value) in &quota {
                reply.local.headers.append(name, value.as_str());
            }
            reply
        }
    }
}

async fn retrieve<P: Platform>(
    runtime: &KnowledgeRuntime<P>,
    api: &Api,
    request: P::Request,
    arrived: Duration,
) -> RetrievalReply {
    let platform = &runtime.platform;
    let until = arrived.saturating_add(api.deadline);
    let in_hand = &runtime.requests_in_hand;
    let read = platform.read_body(request, MAX_REQUEST_BYTES, until, in_hand);
    match read.await {
        Err(ReceiveError::TooLarge { .. }) => RetrievalReply::too_large(),
        Err(ReceiveError::Broken(_)) => RetrievalReply::broken_body(),
        Err(ReceiveError::NoRoom(_)) => RetrievalReply::overloaded(),
        Err(ReceiveError::TooSlow) => RetrievalReply::slow_body(),
        Ok(body) => {
            let retrieval = Retrieval {
                sender: platform,
                clock: platform,
                api,
                arrived,
            };
            retrieval.serve(&body).await
        }
    }
}

/// Counts a request under the API's limits; gives the header fields that tell of them.
async fn limited<P: Platform>(
    runtime: &KnowledgeRuntime<P>,
    api: &Api,
    head: &RequestHead,
    consumer: Option<&str>,
    client: Option<IpAddr>,
) -> Result<Vec<(&'static str, String)>, RetrievalReply> {
    if !runtime.limits.has_rules(&api.name) {
        return Ok(Vec::new());
    }
    let facts = RequestFacts {
        query: head.query(),
        client,
        consumer,
        ..RequestFacts::of(&head.headers)
    };
    match runtime
        .limits
        .admit(&api.name, &facts, Due::All, Passage::default())
        .await
    {
        Ok(passage) => Ok(passage.headers),
        Err(refusal) => Err(RetrievalReply::rate_limited(refusal)),
    }
}

/// Nothing can be served: the operator must act, so the operator is told.
///
/// # Errors
/// As [`handle`].
pub async fn misconfigured<P: Platform>(
    platform: &P,
    problem: &str,
) -> Result<P::Response, P::Error> {
    Log::new(platform.clone(), &spillway_config::Log::default()).error(problem);
    let rendered = Surface::Knowledge.render(*RetrievalReply::misconfigured().local);
    platform
        .respond(rendered.status, rendered.headers, rendered.body)
        .await
}
