//! The ports, scripted: engines that do what they are told, and time that passes only when everybody waits.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use spillway_platform::{
    Clock, Headers, InboundResponse, IncomingBody, OutboundRequest, SendError, Sender,
};

/// What an engine does, step by step. Steps before the head belong to `send`, those after it to the body.
#[derive(Debug, Clone)]
pub enum Step {
    Wait(Duration),
    Head(u16),
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

struct Sleep {
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
        let next = clock.sleepers.borrow().iter().min().copied();
        clock
            .now
            .set(next.expect("nothing that could ever happen is awaited"));
    }
    panic!("the future waits for ever");
}

/// Engines in the order in which they are asked.
#[derive(Debug, Default)]
pub struct ScriptedSender {
    pub clock: ScriptedClock,
    pub requests: RefCell<Vec<OutboundRequest>>,
    scripts: RefCell<VecDeque<Vec<Step>>>,
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
}

impl ScriptedBody {
    async fn step(&mut self) -> Option<Step> {
        loop {
            match self.steps.front() {
                Some(Step::Wait(time)) => self.clock.sleep(*time).await,
                Some(Step::MemoryIsShort) => self.memory_is_short = true,
                _ => return self.steps.pop_front(),
            }
            self.steps.pop_front();
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
        let script = self.scripts.borrow_mut().pop_front();
        let mut body = ScriptedBody {
            memory_is_short: false,
            clock: self.clock.clone(),
            steps: script
                .expect("a request more than the test has scripts for")
                .into(),
        };
        match body.step().await {
            Some(Step::Head(status)) => Ok(InboundResponse {
                status: StatusCode::from_u16(status).unwrap(),
                headers: Headers::default(),
                body,
            }),
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
