//! One request: find the API, identify the consumer, read the body, call.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use spillway_forward::ForwardedHeaders;
use spillway_identity::Identity;
use spillway_instance::{Admission, Refusal};
use spillway_limit::RequestFacts;
use spillway_model::{Api, CallAnswer, ModelRequest, Operation, OperationMatch};
use spillway_platform::spin::{self, ErrorCode, ReceiveError, Request, Response, SpinClock};
use spillway_platform::{Clock, Headers, MAX_SECTION_BYTES, RequestHead};
use spillway_telemetry::{Api as ApiKind, Reason};

use crate::{Instance, complete, stream};

/// Client headers that reach a provider. The rest speak of the connection, of the client's credentials, or of
/// things a provider has no business to know.
const PASSED_HEADERS: [&str; 8] = [
    "user-agent",
    "x-request-id",
    "traceparent",
    "tracestate",
    "idempotency-key",
    "openai-beta",
    "openai-organization",
    "openai-project",
];

pub(crate) async fn handle(
    instance: &'static Instance,
    request: Request,
) -> Result<Response, ErrorCode> {
    let arrived = SpinClock.now();
    let head = spin::request_head(&request);
    let Some((api, below)) = instance.catalogue.api(head.path()) else {
        let answer = CallAnswer::error(
            StatusCode::NOT_FOUND,
            Reason::NotFound,
            &format!(
                "There is no model API at {}. `models` in gateway.yaml lists them.",
                head.path()
            ),
        );
        return own_answer(instance, "", arrived, answer).await;
    };
    match admit(instance, api, below, &head) {
        Err(answer) => own_answer(instance, &api.name, arrived, answer).await,
        Ok(Admitted {
            operation: Operation::Models,
            id,
            ..
        }) => {
            let answer = list_models(api, id);
            own_answer(instance, &api.name, arrived, answer).await
        }
        Ok(Admitted {
            operation,
            consumer,
            ..
        }) => {
            let body = match spin::read_body(request, api.max_body_bytes).await {
                Ok(body) => body,
                Err(error) => {
                    return own_answer(instance, &api.name, arrived, not_received(&error)).await;
                }
            };
            let received = Received {
                api,
                operation,
                body,
                headers: passed_headers(&head.headers),
                arrived,
                quota: Vec::new(),
            };
            serve(instance, received, &head, consumer).await
        }
    }
}

/// A request whose body is in hand.
pub(crate) struct Received {
    pub api: &'static Api,
    pub operation: Operation,
    pub body: bytes::Bytes,
    pub headers: Headers,
    pub arrived: Duration,
    /// Header fields that tell the client of its limits.
    pub quota: Vec<(&'static str, String)>,
}

async fn serve(
    instance: &'static Instance,
    mut received: Received,
    head: &RequestHead,
    consumer: Option<&'static str>,
) -> Result<Response, ErrorCode> {
    let api = received.api;
    let request = match ModelRequest::parse(&received.body, received.operation) {
        Ok(request) => request,
        Err(error) => {
            let document = json!({ "error": {
                "message": error.message, "type": "invalid_request_error", "param": error.param,
                "code": Reason::InvalidRequest.as_str(),
            } });
            let mut answer = CallAnswer::error(StatusCode::BAD_REQUEST, Reason::InvalidRequest, "");
            answer.body = document.to_string().into();
            return own_answer(instance, &api.name, received.arrived, answer).await;
        }
    };
    let Some(route) = api.route(&request.model) else {
        let answer = unknown_model(api, &request.model);
        return own_answer(instance, &api.name, received.arrived, answer).await;
    };
    if instance.limits.has_rules(&api.name) {
        let facts = RequestFacts {
            query: head.query(),
            client: ForwardedHeaders::of(head, &instance.trust).client,
            consumer,
            model: Some(&request.model),
            ..RequestFacts::of(&head.headers)
        };
        match instance
            .limits
            .admit(&api.name, &facts, &instance.meter)
            .await
        {
            Admission::Passed(passage) => received.quota = passage.headers,
            Admission::Refused(refusal) => {
                let answer = refused(refusal);
                return own_answer(instance, &api.name, received.arrived, answer).await;
            }
        }
    }
    if request.stream {
        stream::serve(instance, route, received).await
    } else {
        complete::serve(instance, route, &request, &received).await
    }
}

fn refused(refusal: Refusal) -> CallAnswer {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
    let mut answer = CallAnswer::error(status, refusal.reason, &refusal.message);
    if let Some(words) = refusal.rejected_msg {
        answer
            .headers
            .set("content-type", "text/plain; charset=utf-8");
        answer.body = words.into();
    }
    for (name, value) in refusal.headers {
        answer.headers.append(name, value);
    }
    answer
}

/// A request that may be read on.
struct Admitted<'p> {
    operation: Operation,
    /// The model's name, of `GET /models/{id}`.
    id: Option<&'p str>,
    consumer: Option<&'static str>,
}

fn admit<'p>(
    instance: &'static Instance,
    api: &'static Api,
    below: &'p str,
    head: &RequestHead,
) -> Result<Admitted<'p>, CallAnswer> {
    if head.headers.is_too_large() {
        let text = format!(
            "The request's header section is larger than {} KiB.",
            MAX_SECTION_BYTES / 1024
        );
        return Err(CallAnswer::error(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Reason::TooLarge,
            &text,
        ));
    }
    let (operation, id) = match Operation::of(&head.method, below) {
        OperationMatch::Found(operation, id) => (operation, id),
        OperationMatch::WrongMethod(wanted) => {
            let text = format!("{} takes {wanted}, not {}.", head.path(), head.method);
            let mut answer = CallAnswer::error(
                StatusCode::METHOD_NOT_ALLOWED,
                Reason::MethodNotAllowed,
                &text,
            );
            answer.headers.append("allow", wanted);
            return Err(answer);
        }
        OperationMatch::Unknown => {
            let text = format!(
                "There is no endpoint {}. This API serves /v1/chat/completions, /v1/completions, /v1/embeddings and /v1/models below {}.",
                head.path(),
                if api.base_path.is_empty() {
                    "/"
                } else {
                    &api.base_path
                },
            );
            return Err(CallAnswer::error(
                StatusCode::NOT_FOUND,
                Reason::NotFound,
                &text,
            ));
        }
    };
    let identity = instance.consumers.identify(&head.headers);
    let consumer = match identity {
        Identity::Consumer(name) => Some(name),
        Identity::Absent | Identity::Unknown => None,
    };
    let admitted = Admitted {
        operation,
        id,
        consumer,
    };
    let Some(allowed) = &api.auth else {
        return Ok(admitted);
    };
    let (status, text) = match identity {
        Identity::Consumer(name) if allowed.iter().any(|known| known == name) => {
            return Ok(admitted);
        }
        Identity::Consumer(_) => (
            StatusCode::FORBIDDEN,
            "This API key may not use this model API.",
        ),
        Identity::Unknown => (
            StatusCode::UNAUTHORIZED,
            "The API key is not known to the gateway.",
        ),
        Identity::Absent => (
            StatusCode::UNAUTHORIZED,
            "No API key was sent. Send one as `Authorization: Bearer <key>`.",
        ),
    };
    let mut answer = CallAnswer::error(status, Reason::Unauthorized, text);
    if status == StatusCode::UNAUTHORIZED {
        answer.headers.append("www-authenticate", "Bearer");
    }
    Err(answer)
}

fn list_models(api: &Api, id: Option<&str>) -> CallAnswer {
    let entry = |(model, provider): (&str, &str)| json!({ "id": model, "object": "model", "created": 0, "owned_by": provider });
    let document = match id {
        None => {
            json!({ "object": "list", "data": api.models().into_iter().map(entry).collect::<Vec<_>>() })
        }
        Some(id) => match api.models().into_iter().find(|(model, _)| *model == id) {
            Some(found) => entry(found),
            None => return unknown_model(api, id),
        },
    };
    let mut answer = CallAnswer::error(StatusCode::OK, Reason::Ok, "");
    answer.body = document.to_string().into();
    answer
}

fn unknown_model(api: &Api, model: &str) -> CallAnswer {
    // The name is the client's own text: enough of it to be recognised.
    let shown: String = model.chars().take(100).collect();
    let near = api.near(model);
    let hint = if near.is_empty() {
        "GET /v1/models lists those that there are.".to_owned()
    } else {
        format!("Did you mean `{}`?", near.join("` or `"))
    };
    CallAnswer::error(
        StatusCode::NOT_FOUND,
        Reason::NotFound,
        &format!("There is no model `{shown}` here. {hint}"),
    )
}

fn not_received(error: &ReceiveError) -> CallAnswer {
    match error {
        ReceiveError::TooLarge { limit } => CallAnswer::error(
            StatusCode::PAYLOAD_TOO_LARGE,
            Reason::TooLarge,
            &format!(
                "The request body is larger than the {limit} bytes that this API takes (`max_body_size`)."
            ),
        ),
        ReceiveError::Broken(_) => CallAnswer::error(
            StatusCode::BAD_REQUEST,
            Reason::InvalidRequest,
            "The request body broke off.",
        ),
    }
}

fn passed_headers(headers: &Headers) -> Headers {
    let mut passed = Headers::default();
    for (name, value) in headers.iter() {
        if PASSED_HEADERS.contains(&name) {
            passed.append(name, value);
        }
    }
    passed
}

/// Sends an answer in which no provider had a part.
async fn own_answer(
    instance: &'static Instance,
    api: &str,
    arrived: Duration,
    answer: CallAnswer,
) -> Result<Response, ErrorCode> {
    let took = SpinClock.now().saturating_sub(arrived);
    instance.meter.count(|counters| {
        counters.request(
            ApiKind::Model,
            api,
            "",
            answer.status.as_u16(),
            answer.reason,
            took,
        );
    });
    send(answer).await
}

/// Sends a complete answer.
pub(crate) async fn send(answer: CallAnswer) -> Result<Response, ErrorCode> {
    let mut headers = answer.headers;
    headers.append("x-gateway-reason", answer.reason.as_str());
    spin::respond(answer.status, headers, answer.body.into()).await
}

/// Nothing can be served: the operator must act, so the operator is told.
pub(crate) async fn misconfigured(message: &str) -> Result<Response, ErrorCode> {
    spin::log(message);
    let text = "The gateway's configuration cannot be used. Its log says why.";
    send(CallAnswer::error(
        StatusCode::SERVICE_UNAVAILABLE,
        Reason::Misconfigured,
        text,
    ))
    .await
}
