//! One request: find the API, check the key, read the body, retrieve.

use http::StatusCode;
use spillway_forward::ForwardedHeaders;
use spillway_gateway::Admission;
use spillway_knowledge::{Answer, Api, Caller, MAX_REQUEST_BYTES, Retrieval};
use spillway_limit::RequestFacts;
use spillway_platform::{Clock, RequestHead};
use spillway_platform_spin::{
    self as spin, ErrorCode, ReceiveError, Request, Response, SpinClock, SpinSender,
};
use spillway_telemetry::{Api as ApiKind, KnowledgeCall};

use crate::Instance;

pub(crate) async fn handle(
    instance: &'static Instance,
    request: Request,
) -> Result<Response, ErrorCode> {
    let arrived = SpinClock.now();
    let head = spin::request_head(&request);
    let found = instance.catalogue.api(head.path());
    let (name, backend) = match &found {
        Ok(api) => (api.name.as_str(), api.backend),
        Err(_) => ("", ""),
    };
    let answer = match found {
        Err(answer) => answer,
        Ok(_) if head.headers.is_too_large() => Answer::headers_too_large(),
        Ok(api) => match api.admit(&head) {
            Err(answer) => answer,
            Ok(caller) => match limited(instance, api, &head, caller).await {
                Err(answer) => answer,
                Ok(quota) => {
                    let mut answer = retrieve(api, request, arrived).await;
                    append(&mut answer, &quota);
                    answer
                }
            },
        },
    };
    if let Some(line) = &answer.log {
        spin::log(line);
    }
    let took = SpinClock.now().saturating_sub(arrived);
    instance.meter.count(|counters| {
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
    send(answer).await
}

async fn retrieve(api: &Api, request: Request, arrived: std::time::Duration) -> Answer {
    let until = arrived.saturating_add(api.deadline);
    match spin::read_body(request, MAX_REQUEST_BYTES, until).await {
        Err(ReceiveError::TooLarge { .. }) => Answer::too_large(),
        Err(ReceiveError::Broken(_)) => Answer::broken_body(),
        Err(ReceiveError::NoRoom(_)) => Answer::overloaded(),
        Err(ReceiveError::TooSlow) => Answer::slow_body(),
        Ok(body) => {
            Retrieval {
                sender: &SpinSender,
                clock: &SpinClock,
                api,
                arrived,
            }
            .serve(&body)
            .await
        }
    }
}

/// Counts a request under the API's limits; gives the header fields that tell of them.
async fn limited(
    instance: &'static Instance,
    api: &Api,
    head: &RequestHead,
    caller: Caller,
) -> Result<Vec<(&'static str, String)>, Answer> {
    if !instance.limits.has_rules(&api.name) {
        return Ok(Vec::new());
    }
    let consumer = caller.name();
    let facts = RequestFacts {
        query: head.query(),
        client: ForwardedHeaders::of(head, &instance.trust).client,
        consumer: consumer.as_deref(),
        ..RequestFacts::of(&head.headers)
    };
    match instance
        .limits
        .admit(&api.name, &facts, &instance.meter)
        .await
    {
        Admission::Passed(passage) => Ok(passage.headers),
        Admission::Refused(refusal) => {
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

async fn send(answer: Answer) -> Result<Response, ErrorCode> {
    let mut headers = answer.headers;
    headers.append("x-gateway-reason", answer.reason.as_str());
    spin::respond(answer.status, headers, answer.body).await
}

/// Nothing can be served: the operator must act, so the operator is told.
pub(crate) async fn misconfigured(message: &str) -> Result<Response, ErrorCode> {
    spin::log(message);
    send(Answer::misconfigured()).await
}
