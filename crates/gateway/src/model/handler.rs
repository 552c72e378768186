//! One request: find the API, identify the consumer, read the body, find the route, count, call.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use spillway_forward::REQUEST_ID;
use spillway_limit::{Due, InBody, RequestFacts};
use spillway_llm::{Api, Asked, ModelRequest, Operation, Route, passed_headers, versioned};
use spillway_platform::{Headers, Platform, RequestHead};
use spillway_surface::LocalReply;
use spillway_telemetry::{Api as ApiKind, Reason};

use super::admission::{Admitted, Unlisted, admit};
use super::{ModelRuntime, body, complete, replies, stateful, stream};
use crate::{Passage, Settlement};

/// What only the body of a call tells.
const IN_BODY: InBody = InBody::ModelAndRoute;

/// In which a request's body must be here, however steadily it comes.
const MAX_UPLOAD_TIME: Duration = Duration::from_secs(600);

/// Answers a request.
///
/// # Errors
/// The platform's, where there can be no answer.
pub async fn handle<P: Platform>(
    runtime: &Arc<ModelRuntime<P>>,
    request: P::Request,
) -> Result<P::Response, P::Error> {
    let platform = &runtime.platform;
    let head = platform.head(&request);
    let (mut settlement, _) = Settlement::begin(runtime, ApiKind::Model, &head);
    let Some((api, below)) = runtime.apis.catalogue.api(head.path()) else {
        return replies::reply(runtime, settlement, replies::no_api(head.path())).await;
    };
    settlement.record.name = api.name.clone().into();
    let admitted = match admit(runtime, api, below, &head).await {
        Ok(admitted) => admitted,
        Err(answer) => return replies::reply(runtime, settlement, answer).await,
    };
    let Admitted {
        operation,
        unlisted,
        id,
        consumer,
        content_md5,
    } = admitted;
    let mut received = Received {
        api: Arc::clone(api),
        operation,
        unlisted,
        body: bytes::Bytes::new(),
        headers: passed_headers(&head.headers),
        forwardable: runtime.apis.catalogue.forwardable(&head.headers),
        arrived: settlement.arrived,
        request_id: settlement.record.request_id.clone(),
        client: settlement.record.client,
        consumer: consumer.clone(),
        admitted_by_head: None,
        quota: Vec::new(),
        skips_first: false,
    };
    settlement.record.consumer.clone_from(&consumer);
    received
        .headers
        .append(REQUEST_ID, received.request_id.as_str());
    match operation {
        Operation::Models => {
            replies::reply(
                runtime,
                settlement,
                replies::list_models(api, consumer.as_deref(), id),
            )
            .await
        }
        Operation::Stateful if content_md5.is_none() && !stateful::names_model(&head, below) => {
            stateful::serve(runtime, settlement, received, request, &head, below).await
        }
        _ => {
            if let Err(answer) = admit_head(runtime, &mut received, &head).await {
                return replies::reply(runtime, settlement, answer).await;
            }
            received.body = match platform
                .read_body(
                    request,
                    api.max_body_bytes,
                    settlement.arrived.saturating_add(MAX_UPLOAD_TIME),
                    &runtime.requests_in_hand,
                )
                .await
            {
                Ok(body) => body,
                Err(error) => {
                    return replies::reply(runtime, settlement, LocalReply::of_receive(&error))
                        .await;
                }
            };
            if !body::is_signed(platform, &received.body, content_md5).await {
                let answer = LocalReply::error(
                    StatusCode::BAD_REQUEST,
                    Reason::InvalidRequest,
                    "The body is not the one that Content-MD5 was made of.",
                );
                return replies::reply(runtime, settlement, answer).await;
            }
            if operation == Operation::Stateful {
                return stateful::serve_in_hand(runtime, settlement, received, &head, below).await;
            }
            serve(runtime, settlement, received, &head, below).await
        }
    }
}

/// A request whose body is in hand.
pub(super) struct Received {
    pub api: Arc<Api>,
    pub operation: Operation,
    /// No endpoint that the gateway knows.
    pub unlisted: Option<Unlisted>,
    pub body: bytes::Bytes,
    /// Header fields that go on to the provider, whichever it is.
    pub headers: Headers,
    /// Those that go on to providers whose configuration says so.
    pub forwardable: Headers,
    /// When it came.
    pub arrived: Duration,
    /// Its name: in the log, to the provider, and to the client.
    pub request_id: String,
    /// Who sent it.
    pub client: Option<IpAddr>,
    pub consumer: Option<Arc<str>>,
    /// What the limits gave that were asked before the body was read, where some were.
    pub admitted_by_head: Option<Passage>,
    /// Header fields that tell the client of its limits.
    pub quota: Vec<(&'static str, String)>,
    /// The gateway's own limits refused the first target.
    pub skips_first: bool,
}

impl Received {
    /// Whose call it is; all callers without a credential are one.
    pub fn whose(&self) -> &str {
        self.consumer.as_deref().unwrap_or_default()
    }
}

async fn serve<P: Platform>(
    runtime: &Arc<ModelRuntime<P>>,
    mut settlement: Settlement<P>,
    mut received: Received,
    head: &RequestHead,
    below: &str,
) -> Result<P::Response, P::Error> {
    let read = body::read(
        &runtime.platform,
        std::mem::take(&mut received.body),
        received.operation,
    )
    .await;
    let mut request = match read {
        Ok(request) => request,
        Err(error) => {
            return replies::reply(runtime, settlement, replies::unreadable(error)).await;
        }
    };
    let route = match route_of(&received, head, below, &request) {
        Ok(route) => route,
        Err(answer) => return replies::reply(runtime, settlement, answer).await,
    };
    settlement.record.route = route.name.clone().into();
    if let Err(answer) = count(runtime, &mut received, head, Some(&request.model), &route).await {
        return replies::reply(runtime, settlement, answer).await;
    }
    runtime.refresh(&route).await;
    request.apply(&route.parameters, received.operation);
    if request.stream {
        stream::serve(runtime, &route, request, received, settlement).await
    } else {
        complete::serve(runtime, &route, &request, &received, settlement).await
    }
}

/// The route that serves a call that names its model. What else it names must be served by the same: the provider may
/// take any of them.
pub(super) fn route_of(
    received: &Received,
    head: &RequestHead,
    below: &str,
    request: &ModelRequest,
) -> Result<Arc<Route>, LocalReply> {
    let route = find_route(received, head, below, Some(&request.model))?;
    for other in &request.other_models {
        let found = find_route(received, head, below, Some(other))?;
        if !Arc::ptr_eq(&found, &route) {
            let text = format!(
                "`models` or `fallbacks` names `{}`, which another route serves than `model`. Ask for them in calls of their own.",
                replies::shown(other)
            );
            return Err(LocalReply::error(
                StatusCode::BAD_REQUEST,
                Reason::InvalidRequest,
                &text,
            ));
        }
    }
    Ok(route)
}

/// The route that serves a call.
pub(super) fn find_route(
    received: &Received,
    head: &RequestHead,
    below: &str,
    model: Option<&str>,
) -> Result<Arc<Route>, LocalReply> {
    let asked = Asked {
        model,
        path: &versioned(below),
        head,
        consumer: received.consumer.as_deref(),
    };
    received
        .api
        .route(&asked)
        .cloned()
        .map_err(|why| replies::not_routed(&received.api, received.consumer.as_deref(), model, why))
}

/// Counts a call under those of the API's limits that need nothing of its body, before that is read; a small body is
/// read first, and so is one whose route may send it elsewhere when it is refused.
async fn admit_head<P: Platform>(
    runtime: &ModelRuntime<P>,
    received: &mut Received,
    head: &RequestHead,
) -> Result<(), LocalReply> {
    let api = Arc::clone(&received.api);
    let length = head.content_length();
    let splits = runtime.limits.splits(&api.name, IN_BODY, length);
    if !splits || api.serves_refused() {
        return Ok(());
    }
    let facts = facts_of(received, head);
    let (due, earlier) = (Due::Head(IN_BODY), Passage::default());
    let admitted = runtime.limits.admit(&api.name, &facts, due, earlier).await;
    received.admitted_by_head = Some(admitted?);
    Ok(())
}

/// Counts a call under the API's limits. A refused one may still go to its route's second target, where that is wanted.
pub(super) async fn count<P: Platform>(
    runtime: &ModelRuntime<P>,
    received: &mut Received,
    head: &RequestHead,
    model: Option<&str>,
    route: &Route,
) -> Result<(), LocalReply> {
    let name = received.api.name.clone();
    if !runtime.limits.has_rules(&name) {
        return Ok(());
    }
    let (due, earlier) = match received.admitted_by_head.take() {
        Some(earlier) => (Due::Body(IN_BODY), earlier),
        None => (Due::All, Passage::default()),
    };
    let facts = RequestFacts {
        model,
        route: Some(&route.name),
        ..facts_of(received, head)
    };
    match runtime.limits.admit(&name, &facts, due, earlier).await {
        Ok(passage) => {
            received.quota = passage.headers;
            Ok(())
        }
        Err(refusal) => {
            let has_another = received.operation != Operation::Stateful
                && route.serves_refused(received.operation, model);
            if has_another && refusal.reason == Reason::RateLimited {
                received.skips_first = true;
                return Ok(());
            }
            Err(refusal)
        }
    }
}

fn facts_of<'a>(received: &'a Received, head: &'a RequestHead) -> RequestFacts<'a> {
    RequestFacts {
        query: head.query(),
        client: received.client,
        consumer: received.consumer.as_deref(),
        ..RequestFacts::of(&head.headers)
    }
}
