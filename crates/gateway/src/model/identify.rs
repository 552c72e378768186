//! Phase *identify*: whether a request may be read on. Its size, its endpoint, and who calls.

use std::sync::Arc;

use http::StatusCode;
use spillway_forward::{REQUEST_ID, resolves_elsewhere};
use spillway_identity::{Identity, SignatureFault, Signed};
use spillway_llm::{ModelApi, Operation, OperationMatch, passed_headers, versioned};
use spillway_platform::{Platform, RequestHead};
use spillway_surface::LocalReply;
use spillway_telemetry::Reason;

use super::ModelRuntime;
use super::exchange::{CallEntry, ModelExchange};
use super::replies;
use crate::nonce::Nonce;
use crate::state_access::StateBudget;

/// Finds the API and the consumer. A signed request is let through once.
pub(super) async fn identify<P: Platform>(
    exchange: &mut ModelExchange<P>,
) -> Result<CallEntry, LocalReply> {
    let head = &exchange.head;
    let runtime = &exchange.runtime;
    let models = &runtime.apis;
    let Some((api, below)) = models.catalogue.api(head.path()) else {
        return Err(replies::no_api(head.path()));
    };
    exchange.settlement.record.name = api.name.clone().into();
    if head.headers.is_too_large() {
        return Err(LocalReply::headers_too_large());
    }
    if resolves_elsewhere(head.path()) {
        return Err(LocalReply::invalid(
            "The path holds `.` or `..` segments. Send it resolved.",
        ));
    }
    let (operation, unlisted, id) = endpoint(api, below, head)?;
    let now = runtime.platform.since_1970();
    let identity = models
        .consumers
        .identify(head, api.api_key_query.as_deref(), now);
    let (consumer, signed) = match identity {
        Identity::Consumer(caller) => (Ok(caller.name), caller.signed),
        Identity::Absent => (Err(Unidentified::Absent), None),
        Identity::Unknown => (Err(Unidentified::Unknown), None),
        Identity::Faulty(fault) => (Err(Unidentified::Faulty(fault)), None),
    };
    if let Some(allowed) = &api.auth {
        match &consumer {
            Ok(name) if allowed.iter().any(|known| **known == **name) => {}
            Ok(_) => return Err(forbidden()),
            Err(unidentified) => return Err(unidentified.refusal()),
        }
    }
    let content_md5 = match signed {
        Some(signed) => {
            let budget = &exchange.settlement.state_budget;
            once(runtime, budget, &signed).await?
        }
        None => None,
    };
    let mut headers = passed_headers(&head.headers);
    headers.append(REQUEST_ID, exchange.id());
    let entry = CallEntry {
        api: Arc::clone(api),
        operation,
        path: versioned(below),
        unlisted,
        id: id.map(ToOwned::to_owned),
        content_md5,
        headers,
        forwardable: models.catalogue.forwardable(&head.headers),
    };
    exchange.settlement.record.consumer = consumer.ok();
    Ok(entry)
}

fn endpoint<'p>(
    api: &ModelApi,
    below: &'p str,
    head: &RequestHead,
) -> Result<(Operation, Option<Unlisted>, Option<&'p str>), LocalReply> {
    match Operation::of(&head.method, below) {
        OperationMatch::Found(operation, id) => Ok((operation, None, id)),
        OperationMatch::Unlisted(allowed) => {
            Ok((Operation::Stateful, Some(Unlisted(allowed)), None))
        }
        OperationMatch::WrongMethod(wanted) => Err(wrong_method(head, wanted)),
        OperationMatch::Unknown => Err(no_endpoint(api, head)),
    }
}

fn no_endpoint(api: &ModelApi, head: &RequestHead) -> LocalReply {
    let base = if api.base_path.is_empty() {
        "/"
    } else {
        &api.base_path
    };
    let text = format!(
        "There is no endpoint {}. Below {base} this API serves /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/models, /v1/files, /v1/batches and /v1/responses.",
        head.path(),
    );
    LocalReply::error(StatusCode::NOT_FOUND, Reason::NotFound, &text)
}

fn wrong_method(head: &RequestHead, wanted: &str) -> LocalReply {
    let text = format!("{} takes {wanted}, not {}.", head.path(), head.method);
    let mut answer = LocalReply::error(
        StatusCode::METHOD_NOT_ALLOWED,
        Reason::MethodNotAllowed,
        &text,
    );
    answer.headers.append("allow", wanted);
    answer
}

/// What is below files, batches or responses and nothing that the gateway knows; with the methods that it knows there.
#[derive(Clone, Copy)]
pub(super) struct Unlisted(Option<&'static str>);

impl Unlisted {
    /// No route lists it.
    pub(super) fn refusal(self, head: &RequestHead) -> LocalReply {
        match self.0 {
            Some(allowed) => wrong_method(head, allowed),
            None => unknown_endpoint(head),
        }
    }
}

fn unknown_endpoint(head: &RequestHead) -> LocalReply {
    let text = format!(
        "The gateway does not know the endpoint {} {}. A route whose `match.path` names it would send it on.",
        head.method,
        head.path(),
    );
    LocalReply::error(StatusCode::NOT_FOUND, Reason::NotFound, &text)
}

/// Somebody who is no consumer.
#[derive(Clone, Copy)]
enum Unidentified {
    Absent,
    Unknown,
    Faulty(SignatureFault),
}

impl Unidentified {
    fn refusal(self) -> LocalReply {
        let text = match self {
            Self::Absent => {
                "No API key was sent. Send one as `Authorization: Bearer <key>`.".to_owned()
            }
            Self::Unknown => "The key is not known to the gateway.".to_owned(),
            Self::Faulty(fault) => fault.to_string(),
        };
        unauthorized(&text)
    }
}

fn forbidden() -> LocalReply {
    LocalReply::error(
        StatusCode::FORBIDDEN,
        Reason::Unauthorized,
        "This caller may not use this model API.",
    )
}

pub(super) fn unauthorized(text: &str) -> LocalReply {
    let mut answer = LocalReply::error(StatusCode::UNAUTHORIZED, Reason::Unauthorized, text);
    answer.headers.append("www-authenticate", "Bearer");
    answer
}

/// Lets a signed request through once; gives what its body's MD5 must be.
async fn once<P: Platform>(
    runtime: &ModelRuntime<P>,
    budget: &StateBudget,
    signed: &Signed,
) -> Result<Option<String>, LocalReply> {
    let on_error = runtime.apis.on_error;
    match Nonce::claim(runtime, budget, on_error, signed).await {
        Nonce::First => Ok(signed.content_md5.clone()),
        Nonce::Repeated => Err(unauthorized(
            "This signed request has been sent before. Sign each request anew, with a nonce of its own.",
        )),
        Nonce::Unknown => {
            let mut answer = LocalReply::error(
                StatusCode::SERVICE_UNAVAILABLE,
                Reason::StateUnavailable,
                "The gateway cannot tell right now whether this signed request has been sent before. Try again in a moment.",
            );
            answer.headers.append("retry-after", "1");
            Err(answer)
        }
    }
}
