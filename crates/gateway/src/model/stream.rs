//! Calls whose answers are streamed.

use std::sync::Arc;

use futures_channel::oneshot;
use http::StatusCode;
use spillway_forward::REQUEST_ID;
use spillway_llm::{
    CallProgress, ModelRequest, Route, Served, StreamEnd, StreamOutput, StreamSummary,
};
use spillway_platform::{ClientLeft, Headers, OutgoingBody, Platform, ResponseWriter};
use spillway_surface::{LocalReply, Rendered};
use spillway_telemetry::Reason;

use super::exchange::{CallEntry, ModelExchange};
use super::headers::{append_quota, describe};
use super::{Reporter, call_of};

/// What the waiting handler is told.
enum Head {
    Stream {
        served: Served,
        attempts: usize,
        reason: Reason,
    },
    Answer(Rendered),
}

struct ClientStream<W> {
    writer: W,
    progress: Arc<CallProgress>,
    head: Option<oneshot::Sender<Head>>,
}

impl<W: OutgoingBody> StreamOutput for ClientStream<W> {
    fn open(&mut self, served: Served, attempts: usize, reason: Reason) {
        if let Some(head) = self.head.take() {
            self.progress.set_head();
            // A handler that is gone has no client any more; the next write will tell.
            let _ = head.send(Head::Stream {
                served,
                attempts,
                reason,
            });
        }
    }
}

impl<W: OutgoingBody> OutgoingBody for ClientStream<W> {
    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), ClientLeft> {
        self.writer.write(bytes).await
    }
}

/// Answers once the stream's first bytes, or an error, are there; the rest goes on in a task of its own.
pub(super) async fn serve<P: Platform>(
    mut exchange: ModelExchange<P>,
    entry: CallEntry,
    route: Arc<Route>,
    request: ModelRequest,
) -> Result<P::Response, P::Error> {
    let platform = exchange.runtime.platform.clone();
    let (quota, surface) = (exchange.quota.clone(), exchange.surface);
    let request_id = exchange.id().to_owned();
    let (writer, reader) = platform.response_stream();
    let (sender, receiver) = oneshot::channel();
    let progress = exchange
        .settlement
        .begin_call(&request.model, true, exchange.input, false);
    let out = ClientStream {
        writer,
        progress,
        head: Some(sender),
    };
    platform.spawn(run(exchange, entry, route, request, out));
    // Else it would begin with this request's next event, which where another of its tasks stands (counts that wait to
    // be added up) may be half a second away.
    platform.yield_now().await;
    let mut answer = match receiver.await {
        Ok(Head::Stream {
            served,
            attempts,
            reason,
        }) => {
            let mut headers = Headers::default();
            headers.append("content-type", "text/event-stream; charset=utf-8");
            headers.append("cache-control", "no-cache");
            headers.append("x-accel-buffering", "no");
            headers.append(REQUEST_ID, request_id.as_str());
            headers.append("x-gateway-reason", reason.as_str());
            describe(&mut headers, Some(&served), attempts);
            append_quota(&mut headers, &quota);
            return platform
                .respond_with_stream(StatusCode::OK, &headers, reader)
                .await;
        }
        Ok(Head::Answer(answer)) => answer,
        Err(oneshot::Canceled) => {
            let text = "The gateway lost the call. Try again.";
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            surface.render(LocalReply::error(status, Reason::Internal, text))
        }
    };
    append_quota(&mut answer.headers, &quota);
    answer.headers.append(REQUEST_ID, request_id);
    platform
        .respond(answer.status, answer.headers, answer.body)
        .await
}

async fn run<P: Platform>(
    mut exchange: ModelExchange<P>,
    entry: CallEntry,
    route: Arc<Route>,
    request: ModelRequest,
    mut out: ClientStream<P::Writer>,
) {
    let reporter = Reporter(exchange.runtime.clone());
    let progress = Arc::clone(&out.progress);
    let call = call_of(
        &exchange,
        &entry,
        &reporter,
        &route,
        &request.model,
        &progress,
    );
    let summary = call.stream(&request, &mut out).await;
    let (status, reason) = end(&summary, progress.attempt_count(), out).await;
    exchange.settlement.set(status, reason);
}

/// Ends the client's answer as the stream ended.
async fn end<W: ResponseWriter>(
    summary: &StreamSummary,
    attempts: usize,
    mut out: ClientStream<W>,
) -> (StatusCode, Reason) {
    match &summary.end {
        StreamEnd::Complete(reason) => {
            out.writer.finish(None).await;
            (StatusCode::OK, *reason)
        }
        StreamEnd::Broken(_) => {
            out.writer.finish(None).await;
            (StatusCode::OK, Reason::StreamBroken)
        }
        StreamEnd::ClientLeft => (StatusCode::OK, Reason::ClientLeft),
        StreamEnd::Refused(answer) => {
            let mut described = answer.clone();
            describe(&mut described.headers, summary.served.as_ref(), attempts);
            if let Some(head) = out.head.take() {
                // As in `open`.
                let _ = head.send(Head::Answer(described));
            }
            (answer.status, answer.reason)
        }
    }
}
