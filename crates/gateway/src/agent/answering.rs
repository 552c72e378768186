//! The service's answer on its way to the client: past the component, or read along.

use std::time::Duration;

use futures_util::future::{Either, select};
use http::{Method, StatusCode};
use spillway_dify::{AnswerReader, Form};
use spillway_forward::{
    Class, Destination, drop_internal_headers, keep_events_moving, media_type, rewrite_places,
};
use spillway_platform::{
    ForwardedResponse, Headers, IncomingBody, MAX_ANSWER_SECTION_BYTES, OutgoingBody, Piece,
    Platform, ResponseWriter, gather,
};
use spillway_surface::Surface;
use spillway_telemetry::Reason;

use super::exchange::AgentExchange;
use super::run::RunRecord;
use super::watch::{Cut, Watch};
use super::{Served, joining, replies};
use crate::copying::{CopyEnd, first_piece};

/// How long the event that tells why a stream ends may take to reach its client.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Phase *answer*.
pub(super) async fn answer<P: Platform>(
    mut exchange: AgentExchange<P>,
    destination: Destination,
    served: Served<P>,
) -> Result<P::Response, P::Error> {
    let platform = exchange.runtime.platform.clone();
    let Served {
        answered,
        quota,
        end_user,
    } = served;
    let ForwardedResponse {
        status,
        mut headers,
        join,
        body,
    } = answered;
    rewrite_places(
        &mut headers,
        &destination.upstream,
        &exchange.claims,
        destination.stripped.as_deref(),
    );
    keep_events_moving(&mut headers);
    drop_internal_headers(&mut headers);
    if let Some(cors) = &destination.rules.cors {
        cors.apply(&exchange.head, &mut headers);
    }
    for (name, value) in quota {
        headers.set(name, value);
    }
    exchange.name(&mut headers);
    if headers.size() > MAX_ANSWER_SECTION_BYTES {
        let reply = replies::answer_head_too_large();
        return exchange.reply(Some(&destination), reply).await;
    }
    if let Some(name) = join {
        name.write_to(&mut headers);
        return joining::answer(exchange, body, headers).await;
    }
    let has_body = exchange.head.method != Method::HEAD
        && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let form = readable_form(destination.class, status, &headers);
    if destination.class == Class::Run {
        let mut run = RunRecord::new(&exchange, status, form, end_user);
        run.reader = run.reader.filter(|_| has_body);
        exchange.settlement.unheard = None;
        exchange.settlement.run = Some(run);
    }
    if !has_body || (form.is_none() && exchange.settlement.permits.is_empty()) {
        exchange.settlement.set(status, reason_of(status));
        return platform.splice(status, &headers, body);
    }
    let body = platform
        .read(body)
        .map_err(|error| platform.fail(&error.to_string()))?;
    let timeouts = &destination.rules.timeouts;
    let mut reading = Reading::<P> {
        body,
        tells_why: form == Some(Form::Events),
        watch: Watch::new(
            platform.clone(),
            destination.silence(form == Some(Form::Events)),
            exchange
                .settlement
                .arrived
                .saturating_add(timeouts.ceiling.duration()),
        ),
    };
    let first = first_piece(&platform, &mut reading.body).await;
    let (writer, reader) = platform.response_stream();
    // Should the runtime give it up on its way.
    exchange.settlement.set(status, Reason::ClientLeft);
    platform.spawn(async move {
        let settlement = &mut exchange.settlement;
        let run = settlement.run.as_mut();
        let reader = run.and_then(|run| run.reader.as_mut());
        let end = reading.pass_on(first, writer, reader).await;
        if let Some(run) = &mut settlement.run {
            run.end = end;
        }
        let reason = match end {
            CopyEnd::Complete => reason_of(status),
            CopyEnd::Broken => Reason::StreamBroken,
            CopyEnd::ClientLeft => Reason::ClientLeft,
        };
        settlement.set(status, reason);
    });
    platform.respond_with_stream(status, &headers, reader).await
}

/// What to read the answer as; `None` where nothing is to be learnt from it.
fn readable_form(class: Class, status: StatusCode, headers: &Headers) -> Option<Form> {
    let is_plain = headers
        .text("content-encoding")
        .is_none_or(|coding| coding.eq_ignore_ascii_case("identity"));
    (class == Class::Run && status.is_success() && is_plain)
        .then(|| Form::of(&media_type(headers)))
        .flatten()
}

fn reason_of(status: StatusCode) -> Reason {
    if status.is_server_error() {
        Reason::UpstreamStatus
    } else {
        Reason::Ok
    }
}

/// What became of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Taken,
    /// There is no time for another.
    TakenLast,
    Left,
}

/// An answer being passed on.
struct Reading<P: Platform> {
    body: P::Body,
    /// Whether it is a stream of Dify's own events, in which there is one for what goes wrong.
    tells_why: bool,
    watch: Watch<P>,
}

impl<P: Platform> Reading<P> {
    async fn pass_on(
        &mut self,
        mut next: Option<Piece>,
        mut writer: P::Writer,
        mut reader: Option<&mut AnswerReader>,
    ) -> CopyEnd {
        loop {
            let piece = match next.take() {
                Some(piece) => Ok(piece),
                None => self.watch.over(self.body.next()).await,
            };
            match piece {
                Ok(Ok(Some(piece))) => {
                    let (piece, end) = gather(&mut self.body, piece).await;
                    next = end;
                    // Written before it is read, so that reading delays nothing.
                    self.watch.stirred();
                    let written = self.write(&mut writer, &piece).await;
                    // Also where nobody takes it: it may tell what the run has used.
                    if let Some(reader) = &mut reader {
                        reader.push(&piece);
                    }
                    if written == Written::Left {
                        break CopyEnd::ClientLeft;
                    }
                    self.watch.stirred();
                    if written == Written::TakenLast {
                        break self
                            .break_off(writer, &Cut::Ceiling, reader.as_deref())
                            .await;
                    }
                }
                Ok(Ok(None)) => {
                    writer.finish(self.body.take_trailers()).await;
                    break CopyEnd::Complete;
                }
                Ok(Err(error)) => {
                    break self
                        .break_off(writer, &Cut::Failed(error), reader.as_deref())
                        .await;
                }
                Err(cut) => break self.break_off(writer, &cut, reader.as_deref()).await,
            }
        }
    }

    /// A client that no longer reads is as good as gone; it must not keep a place, or Dify busy. One at whose piece the
    /// time for the whole answer ends has a moment more to take it, so that it can be told.
    async fn write(&mut self, writer: &mut P::Writer, piece: &[u8]) -> Written {
        let mut written = std::pin::pin!(writer.write(piece.to_vec()));
        match self.watch.over(written.as_mut()).await {
            Ok(Ok(())) => Written::Taken,
            Err(Cut::Ceiling) => {
                let timer = std::pin::pin!(self.watch.sleep(LAST_WORDS));
                match select(written, timer).await {
                    Either::Left((Ok(()), _)) => Written::TakenLast,
                    _ => Written::Left,
                }
            }
            _ => Written::Left,
        }
    }

    /// Tells a run's client what happened in its event stream; any other answer is cut, so that it does not look complete.
    async fn break_off(
        &self,
        mut writer: P::Writer,
        cut: &Cut,
        reader: Option<&AnswerReader>,
    ) -> CopyEnd {
        let is_closed = reader.is_some_and(AnswerReader::is_closed);
        if is_closed {
            // Everything has been said; only the connection's end is missing.
            writer.finish(None).await;
            return CopyEnd::Complete;
        }
        if self.tells_why {
            let event = Surface::Dify.stream_error(cut.reply());
            let was_sent = {
                let written = std::pin::pin!(writer.write(event));
                let timer = std::pin::pin!(self.watch.sleep(LAST_WORDS));
                matches!(select(written, timer).await, Either::Left((Ok(()), _)))
            };
            if !was_sent {
                return CopyEnd::ClientLeft;
            }
            writer.finish(None).await;
        }
        CopyEnd::Broken
    }
}
