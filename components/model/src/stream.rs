//! Calls whose answers are streamed.

use futures_channel::oneshot;
use http::StatusCode;
use spillway_model::{
    Call, CallAnswer, ModelRequest, Route, Served, StreamEnd, StreamOutput, StreamSummary,
};
use spillway_platform::spin::{self, ErrorCode, Response, ResponseWriter, SpinClock, SpinSender};
use spillway_platform::{ClientLeft, Clock, Headers, OutgoingBody};
use spillway_telemetry::{Api, ModelCall, Reason};

use crate::Instance;
use crate::complete::{append_quota, count_attempts, describe, log_failures};
use crate::handler::{self, Received};

/// What the waiting handler is told.
enum Head {
    Stream {
        served: Served,
        attempts: usize,
        reason: Reason,
    },
    Answer(CallAnswer),
}

struct ClientStream {
    writer: ResponseWriter,
    head: Option<oneshot::Sender<Head>>,
}

impl StreamOutput for ClientStream {
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

impl OutgoingBody for ClientStream {
    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), ClientLeft> {
        self.writer.write(bytes).await
    }
}

/// Answers once the stream's first bytes, or an error, are there; the rest goes on in a task of its own.
pub(crate) async fn serve(
    instance: &'static Instance,
    route: &'static Route,
    received: Received,
) -> Result<Response, ErrorCode> {
    let quota = received.quota.clone();
    let (writer, reader) = spin::response_stream();
    let (sender, receiver) = oneshot::channel();
    spin::spawn(run(
        instance,
        route,
        received,
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
            headers.append("x-gateway-reason", reason.as_str());
            describe(&mut headers, Some(&served), attempts);
            append_quota(&mut headers, &quota);
            spin::respond_with_stream(StatusCode::OK, &headers, reader).await
        }
        Ok(Head::Answer(mut answer)) => {
            append_quota(&mut answer.headers, &quota);
            handler::send(answer).await
        }
        Err(oneshot::Canceled) => {
            let text = "The gateway lost the call. Try again.";
            handler::send(CallAnswer::error(
                StatusCode::INTERNAL_SERVER_ERROR,
                Reason::Internal,
                text,
            ))
            .await
        }
    }
}

async fn run(
    instance: &'static Instance,
    route: &'static Route,
    received: Received,
    mut out: ClientStream,
) {
    // It was read before, so it can be read again; to carry it over would tie it to the body it borrows from.
    let Ok(request) = ModelRequest::parse(&received.body, received.operation) else {
        return;
    };
    let call = Call {
        sender: &SpinSender,
        clock: &SpinClock,
        route,
        operation: received.operation,
        request: &request,
        headers: &received.headers,
        arrived: received.arrived,
        number: instance.next_call(),
    };
    let summary = call.stream(&mut out).await;
    let (status, reason) = settle(&summary, out).await;
    let took = SpinClock.now().saturating_sub(received.arrived);
    let name = &received.api.name;
    instance.meter.count(|counters| {
        counters.request(Api::Model, name, &route.name, status.as_u16(), reason, took);
        count_attempts(counters, name, route, &summary.attempts, summary.usage);
        let place = summary
            .attempts
            .last()
            .and_then(|attempt| route.targets.get(attempt.target));
        if let (Some(place), Some(first_content)) = (place, summary.first_content) {
            let call = ModelCall {
                name,
                provider: &place.provider,
                model: place.model_label(),
            };
            counters.first_token(call, first_content);
        }
    });
    log_failures(name, route, &summary.attempts, reason);
}

/// Ends the client's answer as the stream ended.
async fn settle(summary: &StreamSummary, mut out: ClientStream) -> (StatusCode, Reason) {
    match &summary.end {
        StreamEnd::Complete(reason) => {
            out.writer.finish().await;
            (StatusCode::OK, *reason)
        }
        StreamEnd::Broken(_) => {
            out.writer.finish().await;
            (StatusCode::OK, Reason::StreamBroken)
        }
        StreamEnd::ClientLeft => (StatusCode::OK, Reason::ClientLeft),
        StreamEnd::Refused(answer) => {
            let mut told = answer.clone();
            describe(
                &mut told.headers,
                summary.served.as_ref(),
                summary.attempts.len(),
            );
            if let Some(head) = out.head.take() {
                // As in `open`.
                let _ = head.send(Head::Answer(told));
            }
            (answer.status, answer.reason)
        }
    }
}
