//! A knowledge request's path: find the API, check the key, count, read the body, retrieve.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use spillway_forward::ForwardedHeaders;
use spillway_knowledge::{Answer, Api, Caller, Catalogue, MAX_REQUEST_BYTES, Retrieval};
use spillway_limit::RequestFacts;
use spillway_platform::{Platform, ReceiveError, RequestHead};
use spillway_telemetry::{Api as ApiKind, KnowledgeCall};

use crate::Runtime;
use crate::runtime::configuration;

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
    let arrived = platform.now();
    let head = platform.head(&request);
    let found = runtime.apis.api(head.path());
    let (name, backend) = match &found {
        Ok(api) => (api.name.as_str(), api.backend),
        Err(_) => ("", ""),
    };
    let answer = match found {
        Err(answer) => answer,
        Ok(_) if head.headers.is_too_large() => Answer::headers_too_large(),
        Ok(api) => match api.admit(&head) {
            Err(answer) => answer,
            Ok(caller) => match limited(runtime, api, &head, caller).await {
                Err(answer) => answer,
                Ok(quota) => {
                    let mut answer = retrieve(runtime, api, request, arrived).await;
                    append(&mut answer, &quota);
                    answer
                }
            },
        },
    };
    if let Some(line) = &answer.log {
        platform.log(line);
    }
    let took = platform.now().saturating_sub(arrived);
    runtime.meter.count(|counters| {
        counters.request(
            ApiKind::Knowledge,
            name,
            "",
            answer.status.as_u16(),
            answer.reason,
            took,
        );
        counters.knowledge(KnowledgeCall { name, backend }, answer.outcome.as_str());
    });
    send(platform, answer).await
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
    caller: Caller,
) -> Result<Vec<(&'static str, String)>, Answer> {
    if !runtime.limits.has_rules(&api.name) {
        return Ok(Vec::new());
    }
    let consumer = caller.name();
    let facts = RequestFacts {
        query: head.query(),
        client: ForwardedHeaders::of(head, &runtime.trust).client,
        consumer: consumer.as_deref(),
        ..RequestFacts::of(&head.headers)
    };
    match runtime.limits.admit(&api.name, &facts).await {
        Ok(passage) => Ok(passage.headers),
        Err(refusal) => {
            let status =
                StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
            // In Dify's own form, whatever the words: it shows nothing else.
            let message = refusal.rejected_msg.as_deref().unwrap_or(&refusal.message);
            let mut answer = Answer::rate_limited(status, refusal.reason, message);
            append(&mut answer, &refusal.headers);
            Err(answer)
        }
    }
}

fn append(answer: &mut Answer, further: &[(&'static str, String)]) {
    for (name, value) in further {
        answer.headers.append(name, value.as_str());
    }
}

async fn send<P: Platform>(platform: &P, answer: Answer) -> Result<P::Response, P::Error> {
    let mut headers = answer.headers;
    headers.append("x-gateway-reason", answer.reason.as_str());
    platform.respond(answer.status, headers, answer.body).await
}

/// Nothing can be served: the operator must act, so the operator is told.
///
/// # Errors
/// As [`handle`].
pub async fn misconfigured<P: Platform>(
    platform: &P,
    problem: &str,
) -> Result<P::Response, P::Error> {
    platform.log(problem);
    send(platform, Answer::misconfigured()).await
}
