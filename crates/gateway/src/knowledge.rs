//! A knowledge request's path: find the API, check the key, count, read the body, retrieve.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use spillway_forward::{ForwardedHeaders, REQUEST_ID, request_id};
use spillway_knowledge::{Answer, Api, Catalogue, MAX_REQUEST_BYTES, Retrieval};
use spillway_limit::{Due, RequestFacts};
use spillway_platform::{Platform, ReceiveError, RequestHead};
use spillway_surface::ReplyBody;
use spillway_telemetry::{AccessRecord, Api as ApiKind, Detail, Retrieval as Retrieved};

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
    let id = request_id(&head.headers, || platform.random_name());
    let mut record = AccessRecord::new(ApiKind::Knowledge, head.method.clone(), head.path(), id);
    record.client = ForwardedHeaders::of(&head, &runtime.trust).client;
    let mut settlement = Settlement::begin(runtime, record);
    let found = runtime.apis.api(head.path());
    let mut backend = "";
    let answer = match found {
        Err(answer) => answer,
        Ok(api) => {
            settlement.record.name = api.name.clone().into();
            backend = api.backend;
            admitted(runtime, &mut settlement, api, &head, request).await
        }
    };
    settlement.record.detail = Detail::Retrieval(Retrieved {
        backend,
        outcome: answer.outcome.as_str(),
        records: answer.records,
        query: answer.query.map(String::from),
        detail: answer.detail.map(String::from),
    });
    settlement.set(answer.status, answer.reason);
    let mut headers = answer.headers;
    headers.append("x-gateway-reason", answer.reason.as_str());
    headers.append(REQUEST_ID, settlement.record.request_id.as_str());
    platform.respond(answer.status, headers, answer.body).await
}

/// Answers a request for this API, if it may come in.
async fn admitted<P: Platform>(
    runtime: &KnowledgeRuntime<P>,
    settlement: &mut Settlement<P>,
    api: &Api,
    head: &RequestHead,
    request: P::Request,
) -> Answer {
    if head.headers.is_too_large() {
        return Answer::headers_too_large();
    }
    let caller = match api.admit(head) {
        Ok(caller) => caller,
        Err(answer) => return answer,
    };
    settlement.record.consumer = caller.name().map(Into::into);
    let consumer = settlement.record.consumer.as_deref();
    let client = settlement.record.client;
    match limited(runtime, api, head, consumer, client).await {
        Err(answer) => answer,
        Ok(quota) => {
            let mut answer = retrieve(runtime, api, request, settlement.arrived).await;
            append(&mut answer, &quota);
            answer
        }
    }
}

async fn retrieve<P: Platform>(
    runtime: &KnowledgeRuntime<P>,
    api: &Api,
    request: P::Request,
    arrived: Duration,
) -> Answer {
    let platform = &runtime.platform;
    let until = arrived.saturating_add(api.deadline);
    let in_hand = &runtime.requests_in_hand;
    let read = platform.read_body(request, MAX_REQUEST_BYTES, until, in_hand);
    match read.await {
        Err(ReceiveError::TooLarge { .. }) => Answer::too_large(),
        Err(ReceiveError::Broken(_)) => Answer::broken_body(),
        Err(ReceiveError::NoRoom(_)) => Answer::overloaded(),
        Err(ReceiveError::TooSlow) => Answer::slow_body(),
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
) -> Result<Vec<(&'static str, String)>, Answer> {
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
        Err(reply) => {
            // In Dify's own form, whatever the words: it shows nothing else.
            let message = match &reply.body {
                ReplyBody::Error { message, .. } => message.clone(),
                ReplyBody::Document { bytes, .. } => String::from_utf8_lossy(bytes).into_owned(),
                ReplyBody::Empty => String::new(),
            };
            let mut answer = Answer::rate_limited(reply.status, reply.reason, &message);
            for (name, value) in reply.headers.iter() {
                answer.headers.append(name, value);
            }
            Err(answer)
        }
    }
}

fn append(answer: &mut Answer, further: &[(&'static str, String)]) {
    for (name, value) in further {
        answer.headers.append(name, value.as_str());
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
    let answer = Answer::misconfigured();
    let mut headers = answer.headers;
    headers.append("x-gateway-reason", answer.reason.as_str());
    platform.respond(answer.status, headers, answer.body).await
}
