//! The ports, scripted: providers that do what they are told, and time that passes only when everybody waits.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use spillway_llm::{Served, StreamOutput};
use spillway_platform::{
    ClientLeft, Clock, Headers, InboundResponse, IncomingBody, OutboundRequest, OutgoingBody,
    SendError, Sender,
};
use spillway_telemetry::Reason;

/// What a provider does, step by step. Steps before the head belong to `send`, those after it to the body.
#[derive(Debug, Clone)]
pub enum Step {
    Wait(Duration),
    Head(u16, &'static str),
    /// With a `content-encoding`.
    PackedHead(u16, &'static str, &'static str),
    Bytes(Vec<u8>),
    Fail(SendError),
    /// From here on the host has none for a body that is held whole.
    MemoryIsShort,
}

/// Time that `run` moves on.
#[derive(Debug, Clone, Default)]
pub struct ScriptedClock {
    now: Rc<Cell<Duration>>,
    sleepers: Rc<RefCell<Vec<Duration>>>,
}

pub struct Sleep {
    clock: ScriptedClock,
    until: Duration,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.clock.now.get() >= self.until {
            return Poll::Ready(());
        }
        self.clock.sleepers.borrow_mut().push(self.until);
        Poll::Pending
    }
}

impl Clock for ScriptedClock {
    fn now(&self) -> Duration {
        self.now.get()
    }

    fn since_1970(&self) -> Duration {
        Duration::from_secs(1_800_000_000)
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + 'static {
        Sleep {
            clock: self.clone(),
            until: self.now.get() + duration,
        }
    }
}

/// Polls a future to its end; whenever it waits, time goes on to the earliest moment that anything waits for.
pub fn run<T>(clock: &ScriptedClock, future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..100_000 {
        clock.sleepers.borrow_mut().clear();
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        let next = clock
            .sleepers
            .borrow()
            .iter()
            .min()
            .copied()
            .expect("nothing that could ever happen is awaited");
        clock.now.set(next);
    }
    panic!("the future waits for ever");
}

/// Providers in the order in which they are called.
#[derive(Debug, Default)]
pub struct ScriptedSender {
    pub clock: ScriptedClock,
    pub scripts: RefCell<VecDeque<Vec<Step>>>,
    pub requests: RefCell<Vec<OutboundRequest>>,
}

impl ScriptedSender {
    pub fn new(scripts: Vec<Vec<Step>>) -> Self {
        Self {
            scripts: RefCell::new(scripts.into()),
            ..Self::default()
        }
    }
}

#[derive(Debug)]
pub struct ScriptedBody {
    memory_is_short: bool,
    clock: ScriptedClock,
    steps: VecDeque<Step>,
    waiting_until: Option<Duration>,
}

impl ScriptedBody {
    /// Like a real body, a wait that has begun belongs to the body and not to the future that asks.
    async fn step(&mut self) -> Option<Step> {
        loop {
            if let Some(until) = self.waiting_until {
                Sleep {
                    clock: self.clock.clone(),
                    until,
                }
                .await;
                self.waiting_until = None;
            }
            match self.steps.pop_front() {
                Some(Step::Wait(time)) => self.waiting_until = Some(self.clock.now() + time),
                Some(Step::MemoryIsShort) => self.memory_is_short = true,
                step => return step,
            }
        }
    }
}

impl Sender for ScriptedSender {
    type Body = ScriptedBody;

    async fn send(
        &self,
        request: OutboundRequest,
    ) -> Result<InboundResponse<ScriptedBody>, SendError> {
        self.requests.borrow_mut().push(request);
        let script = self
            .scripts
            .borrow_mut()
            .pop_front()
            .expect("an attempt more than the test has scripts for");
        let mut body = ScriptedBody {
            memory_is_short: false,
            clock: self.clock.clone(),
            steps: script.into(),
            waiting_until: None,
        };
        match body.step().await {
            Some(Step::PackedHead(status, kind, packing)) => {
                let mut headers = Headers::default();
                headers.append("content-type", kind);
                headers.append("content-encoding", packing);
                Ok(InboundResponse {
                    status: StatusCode::from_u16(status).unwrap(),
                    headers,
                    body,
                })
            }
            Some(Step::Head(status, kind)) => {
                let mut headers = Headers::default();
                headers.append("content-type", kind);
                headers.append("x-request-id", "req-1");
                headers.append("set-cookie", "secret=1");
                Ok(InboundResponse {
                    status: StatusCode::from_u16(status).unwrap(),
                    headers,
                    body,
                })
            }
            Some(Step::Fail(error)) => Err(error),
            other => panic!("a script begins with a head or a failure, not {other:?}"),
        }
    }
}

impl IncomingBody for ScriptedBody {
    async fn may_be_buffered(&self) -> bool {
        !self.memory_is_short
    }

    async fn next(&mut self) -> Result<Option<Bytes>, SendError> {
        match self.step().await {
            None => Ok(None),
            Some(Step::Bytes(bytes)) => Ok(Some(bytes.into())),
            Some(Step::Fail(error)) => Err(error),
            Some(other) => panic!("a body has no {other:?}"),
        }
    }
}

/// The client's end of a stream.
#[derive(Debug, Default)]
pub struct Client {
    pub clock: ScriptedClock,
    pub head: Option<(Served, usize, Reason)>,
    pub text: String,
    /// When each piece came.
    pub times: Vec<Duration>,
    /// Leaves after so many pieces.
    pub leaves_after: Option<usize>,
}

impl StreamOutput for Client {
    fn open(&mut self, served: Served, attempts: usize, reason: Reason) {
        assert!(self.head.is_none(), "a head is sent once");
        self.head = Some((served, attempts, reason));
    }
}

impl OutgoingBody for Client {
    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), ClientLeft> {
        assert!(self.head.is_some(), "nothing is written before the head");
        if self.leaves_after == Some(self.times.len()) {
            return Err(ClientLeft);
        }
        self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        self.times.push(self.clock.now());
        Ok(())
    }
}
