//! Calls whose answers are streamed.

use std::sync::Arc;

use futures_channel::oneshot;
use http::StatusCode;
use spillway_forward::REQUEST_ID;
use spillway_llm::{
    CallAnswer, ModelRequest, Route, Served, StreamEnd, StreamOutput, StreamSummary,
};
use spillway_platform::{ClientLeft, Headers, OutgoingBody, Platform, ResponseWriter};
use spillway_surface::{LocalReply, Surface};
use spillway_telemetry::Reason;

use super::complete::{append_quota, describe};
use super::handler::Received;
use super::record::CallOutcome;
use super::{ModelRuntime, Watch, call_of, replies};
use crate::Settlement;

/// What the waiting handler is told.
enum Head {
    Stream {
        served: Served,
        attempts: usize,
        reason: Reason,
    },
    Answer(CallAnswer),
}

struct ClientStream<W> {
    writer: W,
    head: Option<oneshot::Sender<Head>>,
}

impl<W: OutgoingBody> StreamOutput for ClientStream<W> {
    fn open(&mut self, served: Served, attempts: usize, reason: Reason) {
        if let Some(head) = self.head.take() {
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
    runtime: &Arc<ModelRuntime<P>>,
    route: &Arc<Route>,
    request: ModelRequest,
    received: Received,
    settlement: Settlement<P>,
) -> Result<P::Response, P::Error> {
    let quota = received.quota.clone();
    let request_id = received.request_id.clone();
    let platform = &runtime.platform;
    let (writer, reader) = platform.response_stream();
    let (sender, receiver) = oneshot::channel();
    platform.spawn(run(
        Arc::clone(runtime),
        Arc::clone(route),
        request,
        received,
        settlement,
        ClientStream {
            writer,
            head: Some(sender),
        },
    ));
    match receiver.await {
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
            platform
                .respond_with_stream(StatusCode::OK, &headers, reader)
                .await
        }
        Ok(Head::Answer(mut answer)) => {
            append_quota(&mut answer.headers, &quota);
            replies::send(platform, answer, &request_id).await
        }
        Err(oneshot::Canceled) => {
            let text = "The gateway lost the call. Try again.";
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            let reply = LocalReply::error(status, Reason::Internal, text);
            replies::send(platform, Surface::OpenAi.render(reply), &request_id).await
        }
    }
}

async fn run<P: Platform>(
    runtime: Arc<ModelRuntime<P>>,
    route: Arc<Route>,
    request: ModelRequest,
    received: Received,
    settlement: Settlement<P>,
    mut out: ClientStream<P::Writer>,
) {
    let watch = Watch(Arc::clone(&runtime));
    let call = call_of(&runtime, &watch, &route, &request.model, &received);
    let summary = call.stream(&request, &mut out).await;
    let (status, reason) = end(&summary, out).await;
    CallOutcome {
        model: &request.model,
        is_stream: true,
        status,
        reason,
        attempts: &summary.attempts,
        usage: summary.usage,
        first_content: summary.first_content,
        stop: summary.stop,
    }
    .settle(settlement);
}

/// Ends the client's answer as the stream ended.
async fn end<W: ResponseWriter>(
    summary: &StreamSummary,
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
            describe(
                &mut described.headers,
                summary.served.as_ref(),
                summary.attempts.len(),
            );
            if let Some(head) = out.head.take() {
                // As in `open`.
                let _ = head.send(Head::Answer(described));
            }
            (answer.status, answer.reason)
        }
    }
}
