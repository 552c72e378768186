//! One request: find the API, check the key, read the body, retrieve.

use spillway_knowledge::{Answer, Api, MAX_REQUEST_BYTES, Retrieval};
use spillway_platform::Clock;
use spillway_platform::spin::{
    self, ErrorCode, ReceiveError, Request, Response, SpinClock, SpinSender,
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
            Ok(_) => retrieve(api, request, arrived).await,
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
    match spin::read_body(request, MAX_REQUEST_BYTES).await {
        Err(ReceiveError::TooLarge { .. }) => Answer::too_large(),
        Err(ReceiveError::Broken(_)) => Answer::broken_body(),
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

async fn send(answer: Answer) -> Result<Response, ErrorCode> {
    let mut headers = answer.headers;
    headers.append("x-gateway-reason", answer.reason.as_str());
    spin::respond(answer.status, headers, answer.body.into()).await
}

/// Nothing can be served: the operator must act, so the operator is told.
pub(crate) async fn misconfigured(message: &str) -> Result<Response, ErrorCode> {
    spin::log(message);
    send(Answer::misconfigured()).await
}
