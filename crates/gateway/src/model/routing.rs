//! Phase *route*, of what the body tells: which route of the API serves.

use std::sync::Arc;

use http::{Method, StatusCode};
use spillway_llm::{CallFacts, Operation, Route};
use spillway_platform::Platform;
use spillway_surface::LocalReply;
use spillway_telemetry::Reason;

use super::exchange::{CallEntry, ModelExchange};
use super::read::CallBody;
use super::replies;

/// The route that serves a call. Whatever else a call names that names its model must be served by the same: the provider
/// may take any of them.
pub(super) fn route<P: Platform>(
    exchange: &mut ModelExchange<P>,
    entry: &CallEntry,
    outgoing: &CallBody<P::Request>,
) -> Result<Arc<Route>, LocalReply> {
    let found = route_for(exchange, entry, outgoing.model())?;
    exchange.settlement.record.route = found.name.clone().into();
    let others = outgoing.request().map(|request| &request.other_models);
    for other in others.into_iter().flatten() {
        if !Arc::ptr_eq(&route_for(exchange, entry, Some(other))?, &found) {
            return Err(LocalReply::invalid(format!(
                "`models` or `fallbacks` names `{}`, which another route serves than `model`. Ask for them in calls of their own.",
                replies::shown(other)
            )));
        }
    }
    if entry.operation == Operation::Stateful {
        may_pass(exchange, entry, &found)?;
    }
    Ok(found)
}

fn route_for<P: Platform>(
    exchange: &ModelExchange<P>,
    entry: &CallEntry,
    model: Option<&str>,
) -> Result<Arc<Route>, LocalReply> {
    let (api, consumer) = (&entry.api, exchange.consumer());
    let facts = CallFacts {
        model,
        path: &entry.path,
        head: &exchange.head,
        consumer,
    };
    let found = api.route(&facts).cloned();
    found.map_err(|why| replies::not_routed(api, consumer, model, why))
}

/// Whether what a provider keeps may be asked for. What the gateway does not know must be listed by the route; what names
/// models that it does not read is for callers who may use them all.
fn may_pass<P: Platform>(
    exchange: &ModelExchange<P>,
    entry: &CallEntry,
    route: &Route,
) -> Result<(), LocalReply> {
    if let Some(unlisted) = entry.unlisted
        && !route.lists(&entry.path)
    {
        return Err(unlisted.refusal(&exchange.head));
    }
    // A batch names its models in a file that is with the provider.
    let is_batch =
        exchange.head.method == Method::POST && entry.path.trim_end_matches('/') == "/v1/batches";
    let is_unread = is_batch || entry.unlisted.is_some();
    if is_unread && entry.api.is_restricted(exchange.consumer()) {
        return Err(LocalReply::error(
            StatusCode::FORBIDDEN,
            Reason::Unauthorized,
            "This caller may use some models only, and what models this request names the gateway does not read.",
        ));
    }
    Ok(())
}
