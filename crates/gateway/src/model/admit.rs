//! Phases *admit, head* and *admit, body*: the API's limits, and the context window.

use spillway_limit::{Due, InBody, RequestFacts};
use spillway_llm::{Binding, InputEstimate, InputTokens, Operation, Route};
use spillway_platform::Platform;
use spillway_surface::LocalReply;
use spillway_telemetry::Reason;

use super::exchange::{CallEntry, ModelExchange};
use super::read::{CallBody, reads};
use super::replies;
use crate::{Demand, Passage};

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
    let budget = &exchange.settlement.state_budget;
    let facts = facts(exchange);
    let admitted = limits
        .admit(budget, &api.name, &facts, None, due, earlier)
        .await;
    admitted.map(Some)
}

/// Counts a call under the API's limits, or those of them that are left. A refused one may still go to its route's second
/// target, where that is wanted.
pub(super) async fn admit_body<P: Platform>(
    exchange: &mut ModelExchange<P>,
    entry: &CallEntry,
    earlier: Option<Passage>,
    route: &Route,
    outgoing: &CallBody<P::Request>,
) -> Result<(), LocalReply> {
    let (name, model) = (&entry.api.name, outgoing.model());
    let limits = &exchange.runtime.limits;
    if !limits.has_rules(name) {
        return Ok(());
    }
    let (due, earlier) = match earlier {
        Some(earlier) => (Due::Body(IN_BODY), earlier),
        None => (Due::All, Passage::default()),
    };
    let demand = demand(exchange, entry, route, outgoing).await;
    let facts = RequestFacts {
        model,
        route: Some(&route.name),
        ..facts(exchange)
    };
    let budget = &exchange.settlement.state_budget;
    let admitted = limits.admit(budget, name, &facts, demand.as_ref(), due, earlier);
    match admitted.await {
        Ok(passage) => {
            exchange.quota = passage.headers;
            exchange.settlement.permits = passage.permits;
            Ok(())
        }
        Err(refusal) => {
            let has_another = entry.operation != Operation::Stateful
                && route.serves_refused(entry.operation, model, exchange.input);
            if has_another && refusal.reason == Reason::RateLimited {
                exchange.skips_first = true;
                return Ok(());
            }
            Err(refusal)
        }
    }
}

/// What is known of a call's tokens, where some limit counts them. What the gateway does not read uses none here: files, and
/// batches, which are worked off hours later.
async fn demand<P: Platform>(
    exchange: &ModelExchange<P>,
    entry: &CallEntry,
    route: &Route,
    outgoing: &CallBody<P::Request>,
) -> Option<Demand> {
    let (request, input) = outgoing.request().zip(exchange.input)?;
    // It is counted there, and uses none.
    if entry.path.trim_end_matches('/').ends_with("/input_tokens") {
        return None;
    }
    let cap = request.output_cap(entry.operation, route.max_output_tokens);
    let consumer = exchange.consumer().unwrap_or_default();
    let kind = [
        route.name.as_str(),
        route.known_name(&request.model),
        consumer,
    ];
    let input = Some(input.total);
    let limits = &exchange.runtime.limits;
    let budget = &exchange.settlement.state_budget;
    limits
        .demand(budget, &entry.api.name, &kind, input, cap)
        .await
}

/// Estimates the tokens of a call's input, where a limit or a context window wants to know.
pub(super) async fn estimate<P: Platform>(
    exchange: &mut ModelExchange<P>,
    entry: &CallEntry,
    route: &Route,
    outgoing: &CallBody<P::Request>,
) {
    let counts_tokens = exchange.runtime.limits.counts_tokens(&entry.api.name);
    let max = match (counts_tokens, route.largest_window()) {
        (true, _) => InputTokens::ANY,
        (false, Some(largest)) => InputTokens {
            largest,
            ..InputTokens::ANY
        },
        (false, None) => return,
    };
    let Some(request) = outgoing.request() else {
        return;
    };
    let mut estimate = InputEstimate::new(request, entry.operation, max);
    exchange.input = loop {
        match estimate.step() {
            Some(tokens) => break Some(tokens),
            None => exchange.runtime.platform.yield_now().await,
        }
    };
}

/// Refuses a call whose input is larger than its target takes, before anybody is asked. `earlier` is what the call was
/// counted in: it is taken back then.
pub(super) fn fit_window<P: Platform>(
    exchange: &mut ModelExchange<P>,
    entry: &CallEntry,
    earlier: Option<Passage>,
    route: &Route,
    outgoing: &CallBody<P::Request>,
) -> Result<Option<Passage>, LocalReply> {
    let (Some(request), Some(input), Some(_)) =
        (outgoing.request(), exchange.input, route.largest_window())
    else {
        return Ok(earlier);
    };
    let is_bound = outgoing.binding() != Binding::Free;
    // Which target the call begins with follows from its number.
    let number = exchange.runtime.next_call();
    exchange.number = Some(number);
    match route.exceeded_window(entry.operation, &request.model, number, input, is_bound) {
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
        host: Some(&head.authority),
        ..RequestFacts::of(&head.headers)
    }
}
