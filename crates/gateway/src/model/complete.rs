//! Calls answered in one piece.

use spillway_llm::{ModelRequest, Route};
use spillway_platform::Platform;

use super::exchange::{CallEntry, ModelExchange};
use super::{Reporter, call_of};

pub(super) async fn serve<P: Platform>(
    mut exchange: ModelExchange<P>,
    entry: &CallEntry,
    route: &Route,
    request: &ModelRequest,
) -> Result<P::Response, P::Error> {
    let reporter = Reporter(exchange.runtime.clone());
    let progress = exchange
        .settlement
        .begin_call(&request.model, false, exchange.input, false);
    let call = call_of(
        &exchange,
        entry,
        &reporter,
        route,
        &request.model,
        &progress,
    );
    let completed = call.complete(request).await;
    let answer = completed.answer;
    exchange.settlement.set(answer.status, answer.reason);
    let attempts = progress.attempt_count();
    exchange
        .answer(answer, completed.served.as_ref(), attempts)
        .await
}
