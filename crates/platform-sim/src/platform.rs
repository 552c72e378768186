//! The simulated world as a platform.

use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::StatusCode;
use spillway_platform::{
    BytesInHand, Clock, ForwardError, ForwardRequest, ForwardedBody, ForwardedResponse, Headers,
    JoinKey, OutboundRequest, Platform, ReceiveError, RequestHead, SendError, Sender,
    StateLocation,
};

use crate::pipe::{SimReader, SimWriter, pipe};
use crate::response::{ResponseBody, SimResponse};
use crate::timers::Sleep;
use crate::{Sim, SimBody, SimRequest, SimStore};

impl Clock for Sim {
    fn now(&self) -> Duration {
        self.0.executor.timers.now()
    }

    fn since_1970(&self) -> Duration {
        self.date(self.0.clock_is_off.get())
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + 'static {
        Sleep::new(Rc::clone(&self.0.executor.timers), duration)
    }
}

impl Platform for Sim {
    type Request = SimRequest;
    type Response = SimResponse;
    type Error = String;
    type Unread = SimBody;
    type Writer = SimWriter;
    type Reader = SimReader;
    type State = SimStore;

    fn head(&self, request: &SimRequest) -> RequestHead {
        request.head.clone()
    }

    async fn read_body(
        &self,
        request: SimRequest,
        limit: u64,
        until: Duration,
        _: &Arc<BytesInHand>,
    ) -> Result<Bytes, ReceiveError> {
        let reading = std::pin::pin!(self.client_body(request, limit));
        let timer = std::pin::pin!(self.sleep(until.saturating_sub(self.now())));
        match select(reading, timer).await {
            Either::Left((read, _)) => read,
            Either::Right(_) => Err(ReceiveError::TooSlow),
        }
    }

    async fn forward(
        &self,
        body: ForwardedBody<SimRequest>,
        to: ForwardRequest<'_>,
    ) -> Result<ForwardedResponse<SimBody>, ForwardError> {
        let read = match body {
            ForwardedBody::Whole(bytes) => Ok(bytes),
            ForwardedBody::Spliced(request) => self.client_body(request, u64::MAX).await,
            ForwardedBody::Counted { request, limit } => self.client_body(request, limit).await,
        };
        let body = read.map_err(|error| match error {
            ReceiveError::TooLarge { limit } => ForwardError::BodyTooLarge { limit },
            _ => ForwardError::ClientBrokeOff,
        })?;
        let sent = self.send(OutboundRequest {
            method: to.method.clone(),
            scheme: to.scheme.to_owned(),
            authority: to.authority.to_owned(),
            path_and_query: to.path_and_query.to_owned(),
            headers: to.headers.clone(),
            body,
            timeouts: to.timeouts,
        });
        let answered = sent.await?;
        Ok(ForwardedResponse {
            status: answered.status,
            headers: answered.headers,
            join: None,
            body: answered.body,
        })
    }

    fn read(&self, body: SimBody) -> Result<SimBody, SendError> {
        Ok(body)
    }

    fn splice(
        &self,
        status: StatusCode,
        headers: &Headers,
        body: SimBody,
    ) -> Result<SimResponse, String> {
        Ok(SimResponse {
            status,
            headers: headers.clone(),
            body: ResponseBody::Spliced(body),
        })
    }

    async fn respond(
        &self,
        status: StatusCode,
        headers: Headers,
        body: Bytes,
    ) -> Result<SimResponse, String> {
        Ok(SimResponse {
            status,
            headers,
            body: ResponseBody::Whole(body),
        })
    }

    fn response_stream(&self) -> (SimWriter, SimReader) {
        let (writer, reader, pipe) = pipe();
        if let Some((group, life)) = self.life_at_work() {
            life.pipes.borrow_mut().push((group, pipe));
        }
        (writer, reader)
    }

    async fn respond_with_stream(
        &self,
        status: StatusCode,
        headers: &Headers,
        body: SimReader,
    ) -> Result<SimResponse, String> {
        Ok(SimResponse {
            status,
            headers: headers.clone(),
            body: ResponseBody::Streamed(body),
        })
    }

    fn fail(&self, words: &str) -> String {
        words.to_owned()
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.0.executor.spawn(task);
    }

    async fn yield_now(&self) {
        // As wit-bindgen's `yield_async`.
        let mut has_yielded = false;
        poll_fn(|context| {
            if std::mem::replace(&mut has_yielded, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    fn log(&self, line: &str) {
        let lines = line.lines().map(|line| (self.moment(), line.to_owned()));
        self.0.log.borrow_mut().extend(lines);
    }

    fn log_as_json(&self, _: bool) {}

    fn random_number(&self) -> u32 {
        u32::try_from(self.unique_number() & 0xffff_ffff).unwrap_or_default()
    }

    fn unique_number(&self) -> u128 {
        // Repeatable: the same numbers in every run.
        self.0.chance.borrow_mut().u128(..)
    }

    async fn variable(&self, name: &str) -> Result<Option<String>, String> {
        Ok(self.0.variables.borrow().get(name).cloned())
    }

    fn mounted_file(&self, path: &str) -> Result<String, String> {
        Err(format!("{path} is not there"))
    }

    fn join_key(&self) -> Option<JoinKey> {
        None
    }

    fn open_state(&self, _: StateLocation) -> SimStore {
        self.store()
    }
}
