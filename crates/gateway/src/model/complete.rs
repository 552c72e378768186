//! Calls answered in one piece.

use spillway_llm::{ModelRequest, Route};
use spillway_platform::Platform;

use super::exchange::{Entry, Exchange};
use super::record::CallOutcome;
use super::{Reporter, call_of};

pub(super) async fn serve<P: Platform>(
    mut exchange: Exchange<P>,
    entry: &Entry,
    route: &Route,
    request: &ModelRequest,
) -> Result<P::Response, P::Error> {
    let reporter = Reporter(exchange.runtime.clone());
    let call = call_of(&exchange, entry, &reporter, route, &request.model);
    let completed = call.complete(request).await;
    CallOutcome {
        model: &request.model,
        is_stream: false,
        status: completed.answer.status,
        reason: completed.answer.reason,
        attempts: &completed.attempts,
        usage: completed.usage,
        first_content: None,
        stop: completed.stop,
    }
    .tell(&mut exchange.settlement);
    let attempts = completed.attempts.len();
    exchange
        .answer(completed.answer, completed.served.as_ref(), attempts)
        .await
}
