//! One request: route, admit, forward, answer.

use std::sync::Arc;

use http::{Method, StatusCode};
use spillway_forward::{
    Destination, ForwardedHeaders, RoutingFailure, UserPlace, ambiguity, may_be_json, request_id,
};
use spillway_limit::{Due, InBody, RequestFacts};
use spillway_platform::{ForwardedBody, Platform, ReceiveError};
use spillway_surface::LocalReply;
use spillway_telemetry::{AccessRecord, Api, Reason};

use super::exchange::Exchange;
use super::forwarding::{Outgoing, REPEATABLE_BYTES};
use super::{AgentRuntime, answering, forwarding, joining, replies};
use crate::{Passage, Settlement};

/// The largest JSON body that is read to find the end user in it.
const MAX_READ_BYTES: u64 = 8 * 1024 * 1024;

/// Answers a request.
///
/// # Errors
/// The platform's, where there can be no answer.
pub async fn handle<P: Platform>(
    runtime: &Arc<AgentRuntime<P>>,
    request: P::Request,
) -> Result<P::Response, P::Error> {
    let platform = &runtime.platform;
    let head = platform.head(&request);
    let claims = ForwardedHeaders::of(&head, &runtime.trust);
    let id = request_id(&head.headers, || platform.random_name());
    let mut record = AccessRecord::new(Api::Agent, head.method.clone(), head.path(), id);
    record.client = claims.client;
    let mut exchange = Exchange {
        runtime: Arc::clone(runtime),
        settlement: Settlement::begin(runtime, record),
        claims,
        head,
    };
    let head = &exchange.head;
    if head.headers.is_too_large() {
        return exchange.reply(None, LocalReply::headers_too_large()).await;
    }
    if let Some(words) = ambiguity(&head.headers) {
        return exchange.reply(None, LocalReply::invalid(words)).await;
    }
    if matches!(head.method, Method::TRACE | Method::CONNECT) {
        // TRACE would echo cookies, and what the gateway itself adds, to whoever asks. CONNECT would leave without its
        // path, as a request for a tunnel.
        let reply = replies::method_not_allowed(&head.method);
        return exchange.reply(None, reply).await;
    }
    match runtime.apis.router.route(head, &exchange.claims.host) {
        Ok(destination) => {
            exchange.found(&destination);
            serve(exchange, destination, request).await
        }
        Err(failure) => {
            if let RoutingFailure::NoService { api, .. } = &failure {
                exchange.settlement.record.name = Arc::clone(api).into();
            }
            let no_apis = runtime.apis.router.is_empty();
            let answer = replies::not_routed(&failure, no_apis);
            exchange.reply(None, answer).await
        }
    }
}

async fn serve<P: Platform>(
    mut exchange: Exchange<P>,
    destination: Destination,
    request: P::Request,
) -> Result<P::Response, P::Error> {
    let head = &exchange.head;
    let rules = Arc::clone(&destination.rules);
    if rules.redirect_to_https && exchange.claims.proto == "http" {
        return redirect(exchange, &destination).await;
    }
    if let Some(headers) = rules.cors.as_ref().and_then(|cors| cors.preflight(head)) {
        let mut reply = LocalReply::empty(StatusCode::NO_CONTENT, Reason::Ok);
        reply.headers = headers;
        return exchange.reply(Some(&destination), reply).await;
    }
    if joining::is_in_vain(&exchange, &destination) {
        let answer = replies::websocket_cannot_pass();
        return exchange.reply(Some(&destination), answer).await;
    }
    if head
        .content_length()
        .is_some_and(|length| length > rules.max_body_bytes)
    {
        let answer = replies::body_too_large(&destination, rules.max_body_bytes);
        return exchange.reply(Some(&destination), answer).await;
    }
    let reads = reads_end_user(&exchange, &destination);
    let mut passage = Passage::default();
    let limits = &exchange.runtime.limits;
    // What needs nothing of the body is asked before it is read, unless it is small: all are asked at once then.
    let head_due = match reads {
        false => Some(Due::All),
        true if limits.splits(&destination.api, InBody::EndUser, head.content_length()) => {
            Some(Due::Head(InBody::EndUser))
        }
        true => None,
    };
    if let Some(due) = head_due {
        passage = match admit(&exchange, &destination, None, due, passage).await {
            Ok(passage) => passage,
            Err(refusal) => return exchange.reply(Some(&destination), refusal).await,
        };
    }
    let mut body = match take_in_hand(&exchange, &destination, reads, request).await {
        Ok(body) => body,
        Err(answer) => {
            return exchange.reply(Some(&destination), answer).await;
        }
    };
    if reads {
        let due = head_due.map_or(Due::All, |_| Due::Body(InBody::EndUser));
        let end_user = body.end_user.as_deref();
        passage = match admit(&exchange, &destination, end_user, due, passage).await {
            Ok(passage) => passage,
            Err(refusal) => return exchange.reply(Some(&destination), refusal).await,
        };
    }
    match forwarding::send(&exchange, &destination, &mut body).await {
        Ok(answered) => {
            let Passage {
                headers,
                permit,
                forgettable,
                ..
            } = passage;
            exchange.settlement.permit = permit;
            // Below `/v1` Dify answers so where it does not know the key.
            if answered.status == StatusCode::UNAUTHORIZED && destination.user_place.is_some() {
                exchange.runtime.limits.forget(forgettable);
            }
            let end_user = body.end_user;
            answering::answer(exchange, destination, answered, headers, end_user).await
        }
        Err(error) => {
            let origin = destination.upstream.origin();
            exchange.settlement.record.error = Some(format!("{origin}: {error}"));
            let answer = replies::not_forwarded(&error, &destination);
            exchange.reply(Some(&destination), answer).await
        }
    }
}

/// Whether the body has to be read for the end user.
fn reads_end_user<P: Platform>(exchange: &Exchange<P>, destination: &Destination) -> bool {
    exchange.head.has_body()
        && destination.user_place == Some(UserPlace::Body)
        && may_be_json(&exchange.head.headers)
        && exchange.runtime.limits.counts_by_end_user(&destination.api)
}

/// Decides how the body goes on: read where the end user has to be known, in hand where it is small, so that it can
/// be sent again, counted where its length is not told, else past the component.
async fn take_in_hand<P: Platform>(
    exchange: &Exchange<P>,
    destination: &Destination,
    is_read: bool,
    request: P::Request,
) -> Result<Outgoing<P::Request>, LocalReply> {
    let head = &exchange.head;
    if !head.has_body() {
        return Ok(Outgoing::without_body(request));
    }
    let length = head.content_length();
    // A body of unknown length does not leave the runtime under these methods.
    let needs_length = matches!(head.method, Method::GET | Method::HEAD);
    let most = match length {
        _ if is_read => MAX_READ_BYTES.min(destination.rules.max_body_bytes),
        Some(length) if length <= REPEATABLE_BYTES => REPEATABLE_BYTES,
        Some(_) => return Ok(Outgoing::once(ForwardedBody::Spliced(request))),
        None if needs_length => REPEATABLE_BYTES,
        None => {
            return Ok(Outgoing::once(ForwardedBody::Counted {
                request,
                limit: destination.rules.max_body_bytes,
            }));
        }
    };
    let until = exchange
        .settlement
        .arrived
        .saturating_add(destination.timeouts().first_byte);
    let runtime = &exchange.runtime;
    let in_hand = &runtime.requests_in_hand;
    match runtime
        .platform
        .read_body(request, most, until, in_hand)
        .await
    {
        Ok(bytes) => {
            let end_user = is_read.then(|| spillway_dify::end_user(&bytes)).flatten();
            Ok(Outgoing::in_hand(bytes, end_user))
        }
        Err(ReceiveError::TooLarge { .. }) if needs_length && !is_read && length.is_none() => {
            Err(replies::length_required())
        }
        Err(ReceiveError::TooLarge { limit }) => Err(replies::body_too_large(destination, limit)),
        Err(error) => Err(LocalReply::of_receive(&error)),
    }
}

/// Counts a request under the API's limits.
async fn admit<P: Platform>(
    exchange: &Exchange<P>,
    destination: &Destination,
    end_user: Option<&str>,
    due: Due,
    earlier: Passage,
) -> Result<Passage, LocalReply> {
    let limits = &exchange.runtime.limits;
    if !limits.has_rules(&destination.api) {
        return Ok(earlier);
    }
    let head = &exchange.head;
    let dify_app = limits.dify_app(&head.headers);
    let named = match destination.user_place {
        Some(UserPlace::Query) => head.query().and_then(user_of_query),
        Some(UserPlace::Body) => end_user.map(ToOwned::to_owned),
        None => None,
    };
    let facts = RequestFacts {
        query: head.query(),
        client: exchange.claims.client,
        dify_app: dify_app.as_ref(),
        end_user: destination.counted_user(named.as_deref()),
        route: Some(&destination.route),
        service: Some(destination.service.as_str()),
        ..RequestFacts::of(&head.headers)
    };
    limits.admit(&destination.api, &facts, due, earlier).await
}

fn user_of_query(query: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .find_map(|(name, value)| (name == "user").then(|| value.into_owned()))
        .filter(|user| !user.is_empty())
}

/// To the same place by `https`. A method other than GET must stay what it is, which 301 does not promise.
async fn redirect<P: Platform>(
    exchange: Exchange<P>,
    destination: &Destination,
) -> Result<P::Response, P::Error> {
    let head = &exchange.head;
    let host = exchange.claims.host_name();
    if host.is_empty() {
        let reply = LocalReply::invalid("The request names no host. Send `Host`.");
        return exchange.reply(Some(destination), reply).await;
    }
    let status = if matches!(head.method, Method::GET | Method::HEAD) {
        StatusCode::MOVED_PERMANENTLY
    } else {
        StatusCode::PERMANENT_REDIRECT
    };
    let location = format!("https://{host}{}", head.path_and_query);
    let reply = LocalReply::empty(status, Reason::Redirected).with_header("location", location);
    exchange.reply(Some(destination), reply).await
}
