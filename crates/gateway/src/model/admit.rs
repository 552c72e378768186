//! Phases *admit, head* and *admit, body*: the API's limits, and the context window.

use spillway_limit::{Due, InBody, RequestFacts};
use spillway_llm::{Binding, InputEstimate, Operation, Route};
use spillway_platform::Platform;
use spillway_surface::LocalReply;
use spillway_telemetry::Reason;

use super::exchange::{CallEntry, ModelExchange};
use super::read::{CallBody, reads};
use super::replies;
use crate::Passage;

/// What only the body of a call tells.
const IN_BODY: InBody = InBody::ModelAndRoute;

/// Counts a call under those of the API's limits that need nothing of its body, before that is read. `None`: all are
/// asked later, at once. A small body is read first, and so is one whose route may send it elsewhere when it is refused;
/// what is not read at all has its route a moment later.
pub(super) async fn admit_head<P: Platform>(
    exchange: &ModelExchange<P>,
    entry: &CallEntry,
) -> Result<Option<Passage>, LocalReply> {
    let (api, limits) = (&entry.api, &exchange.runtime.limits);
    let length = exchange.head.content_length();
    let splits = reads(exchange, entry) && limits.splits(&api.name, IN_BODY, length);
    if !splits || api.serves_refused() {
        return Ok(None);
    }
    let (due, earlier) = (Due::Head(IN_BODY), Passage::default());
    let facts = facts(exchange);
    let admitted = limits.admit(&api.name, &facts, due, earlier).await;
    admitted.map(Some)
}

/// Counts a call under the API's limits, or those of them that are left. A refused one may still go to its route's second
/// target, where that is wanted.
pub(super) async fn admit_body<P: Platform>(
    exchange: &mut ModelExchange<P>,
    entry: &CallEntry,
    earlier: Option<Passage>,
    route: &Route,
    model: Option<&str>,
) -> Result<(), LocalReply> {
    let name = &entry.api.name;
    let limits = &exchange.runtime.limits;
    if !limits.has_rules(name) {
        return Ok(());
    }
    let (due, earlier) = match earlier {
        Some(earlier) => (Due::Body(IN_BODY), earlier),
        None => (Due::All, Passage::default()),
    };
    let facts = RequestFacts {
        model,
        route: Some(&route.name),
        ..facts(exchange)
    };
    match limits.admit(name, &facts, due, earlier).await {
        Ok(passage) => {
            exchange.quota = passage.headers;
            exchange.settlement.permits = passage.permits;
            Ok(())
        }
        Err(refusal) => {
            let has_another = entry.operation != Operation::Stateful
                && route.serves_refused(entry.operation, model, exchange.input_tokens);
            if has_another && refusal.reason == Reason::RateLimited {
                exchange.skips_first = true;
                return Ok(());
            }
            Err(refusal)
        }
    }
}

/// Refuses a call whose input is larger than its target takes, before anybody is asked. `earlier` is what the call was
/// counted in: it is taken back then.
pub(super) async fn fit_window<P: Platform>(
    exchange: &mut ModelExchange<P>,
    entry: &CallEntry,
    earlier: Option<Passage>,
    route: &Route,
    outgoing: &CallBody<P::Request>,
) -> Result<Option<Passage>, LocalReply> {
    let (Some(request), Some(largest)) = (outgoing.request(), route.largest_window()) else {
        return Ok(earlier);
    };
    let operation = entry.operation;
    let mut estimate = InputEstimate::new(request, operation, largest);
    let tokens = loop {
        match estimate.step() {
            Some(tokens) => break tokens,
            None => exchange.runtime.platform.yield_now().await,
        }
    };
    exchange.input_tokens = Some(tokens);
    let is_bound = outgoing.binding() != Binding::Free;
    // Which target the call begins with follows from its number.
    let number = exchange.runtime.next_call();
    exchange.number = Some(number);
    match route.exceeded_window(operation, &request.model, number, tokens, is_bound) {
        Some(window) => {
            exchange.runtime.limits.give_back(earlier);
            Err(replies::context_length_exceeded(window))
        }
        None => Ok(earlier),
    }
}

fn facts<P: Platform>(exchange: &ModelExchange<P>) -> RequestFacts<'_> {
    let head = &exchange.head;
    RequestFacts {
        query: head.query(),
        client: exchange.settlement.record.client,
        consumer: exchange.consumer(),
        ..RequestFacts::of(&head.headers)
    }
}
