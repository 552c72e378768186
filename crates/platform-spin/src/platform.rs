//! Spin as a platform.

use std::future::Future;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use spillway_platform::{
    BytesInHand, Clock, ForwardError, ForwardRequest, ForwardedBody, ForwardedResponse, Headers,
    InboundResponse, JoinKey, OutboundRequest, Platform, ReceiveError, RequestHead, SendError,
    Sender, StateLocation,
};
use spillway_state::{NumberStore, RedisStore, Store};
use spillway_telemetry::LogStyle;
use spin_sdk::wasip3::http::types::{ErrorCode, Request, Response};
use spin_sdk::wasip3::random::insecure::get_insecure_random_u64;

use crate::clock::SpinClock;
use crate::forward::{Unread, forward};
use crate::key_value::SpinKeyValue;
use crate::receive::{read_body, request_head};
use crate::redis::SpinRedis;
use crate::respond::{
    SpinReader, SpinWriter, respond, respond_with_stream, response_stream, splice,
};
use crate::send::{SpinBody, send};
use crate::turn::next_turn;
use crate::variables::variable;

/// Where the host tells its key for joining connections. Spin tells none.
const JOIN_KEY_VARIABLE: &str = "SPILLWAY_JOIN_KEY";

/// Whether what this crate has to say is written as JSON.
static LOG_IS_JSON: AtomicBool = AtomicBool::new(false);

/// The runtime that this component runs in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spin;

/// State as Spin gives access to it.
pub type SpinState = Store<SpinRedis, SpinKeyValue, Spin>;

impl Clock for Spin {
    fn now(&self) -> Duration {
        SpinClock.now()
    }

    fn since_1970(&self) -> Duration {
        SpinClock.since_1970()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + 'static {
        SpinClock.sleep(duration)
    }
}

impl Sender for Spin {
    type Body = SpinBody;

    fn send(
        &self,
        request: OutboundRequest,
    ) -> impl Future<Output = Result<InboundResponse<SpinBody>, SendError>> {
        send(request)
    }
}

impl Platform for Spin {
    type Request = Request;
    type Response = Response;
    type Error = ErrorCode;
    type Unread = Unread;
    type Writer = SpinWriter;
    type Reader = SpinReader;
    type State = SpinState;

    fn head(&self, request: &Request) -> RequestHead {
        request_head(request)
    }

    fn read_body(
        &self,
        request: Request,
        limit: u64,
        until: Duration,
        in_hand: &Arc<BytesInHand>,
    ) -> impl Future<Output = Result<Bytes, ReceiveError>> {
        read_body(request, limit, until, in_hand)
    }

    fn forward(
        &self,
        body: ForwardedBody<Request>,
        to: ForwardRequest<'_>,
    ) -> impl Future<Output = Result<ForwardedResponse<Unread>, ForwardError>> {
        forward(body, to)
    }

    fn read(&self, body: Unread) -> Result<SpinBody, SendError> {
        body.read()
    }

    fn splice(
        &self,
        status: StatusCode,
        headers: &Headers,
        body: Unread,
    ) -> Result<Response, ErrorCode> {
        splice(status, headers, body)
    }

    fn respond(
        &self,
        status: StatusCode,
        headers: Headers,
        body: Bytes,
    ) -> impl Future<Output = Result<Response, ErrorCode>> {
        respond(status, headers, body)
    }

    fn response_stream(&self) -> (SpinWriter, SpinReader) {
        response_stream()
    }

    fn respond_with_stream(
        &self,
        status: StatusCode,
        headers: &Headers,
        body: SpinReader,
    ) -> impl Future<Output = Result<Response, ErrorCode>> {
        respond_with_stream(status, headers, body)
    }

    fn fail(&self, words: &str) -> ErrorCode {
        ErrorCode::InternalError(Some(words.to_owned()))
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        spin_sdk::wasip3::spawn(task);
    }

    fn yield_now(&self) -> impl Future<Output = ()> {
        next_turn()
    }

    fn log(&self, line: &str) {
        write_line(line);
    }

    fn log_as_json(&self, is_json: bool) {
        LOG_IS_JSON.store(is_json, Ordering::Relaxed);
    }

    fn random_number(&self) -> u32 {
        let [first, second, third, fourth, ..] = get_insecure_random_u64().to_le_bytes();
        u32::from_le_bytes([first, second, third, fourth])
    }

    fn unique_number(&self) -> u128 {
        let half = || u128::from(get_insecure_random_u64());
        half() << 64 | half()
    }

    fn variable(&self, name: &str) -> impl Future<Output = Result<Option<String>, String>> {
        variable(name)
    }

    fn mounted_file(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|error| error.to_string())
    }

    fn join_key(&self) -> Option<JoinKey> {
        std::env::var(JOIN_KEY_VARIABLE)
            .ok()
            .filter(|key| !key.is_empty())
            .map(JoinKey::new)
    }

    fn open_state(&self, location: StateLocation) -> SpinState {
        if location.redis.is_empty() {
            Store::Numbers(NumberStore::new(SpinKeyValue, Spin))
        } else {
            let verdicts = SpinRedis::new(&location.redis);
            Store::Redis(Box::new(RedisStore::new(verdicts, Spin)))
        }
    }
}

/// Tells of something out of order.
pub(crate) fn warn(words: &str) {
    let is_json = LOG_IS_JSON.load(Ordering::Relaxed);
    write_line(&LogStyle::warning(is_json, SpinClock.since_1970(), words));
}

/// Writes one line to the component's log, standard error, in one call of the host.
fn write_line(line: &str) {
    // A log that takes nothing is no reason to fail a request.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
