//! Bodies, as a script has them.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use spillway_platform::{Clock, Headers, IncomingBody, SendError};

use crate::Sim;

/// What a peer does, step by step. After the last step its message ends cleanly.
#[derive(Debug, Clone)]
pub enum PeerStep {
    /// It waits.
    Wait(Duration),
    /// The head of an answer.
    Head(u16, Headers),
    /// A piece of a body.
    Piece(Bytes),
    /// It breaks off, or refuses.
    Fail(SendError),
}

impl PeerStep {
    /// A head with this content type.
    pub fn head(status: u16, content_type: &str) -> Self {
        let mut headers = Headers::default();
        headers.append("content-type", content_type);
        Self::Head(status, headers)
    }

    /// A piece of text.
    pub fn piece(text: &str) -> Self {
        Self::Piece(Bytes::copy_from_slice(text.as_bytes()))
    }
}

/// A body that comes as a script has it.
pub struct SimBody {
    sim: Sim,
    steps: VecDeque<PeerStep>,
    /// A wait that has begun belongs to the body and not to the future that asks.
    waiting_until: Option<Duration>,
    /// How long it may be silent.
    patience: Duration,
}

impl SimBody {
    pub(crate) fn new(sim: Sim, steps: impl IntoIterator<Item = PeerStep>) -> Self {
        Self {
            sim,
            steps: steps.into_iter().collect(),
            waiting_until: None,
            patience: Duration::MAX,
        }
    }

    /// The same, which breaks off where it is silent for so long.
    pub(crate) fn patient_for(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The next step that is no wait.
    pub(crate) async fn step(&mut self) -> Option<PeerStep> {
        loop {
            if let Some(until) = self.waiting_until {
                let rest = until.saturating_sub(self.sim.now());
                self.sim.sleep(rest).await;
                self.waiting_until = None;
            }
            match self.steps.pop_front() {
                Some(PeerStep::Wait(time)) => {
                    self.waiting_until = Some(self.sim.now().saturating_add(time));
                }
                step => return step,
            }
        }
    }
}

impl IncomingBody for SimBody {
    async fn next(&mut self) -> Result<Option<Bytes>, SendError> {
        let timer = std::pin::pin!(self.sim.sleep(self.patience));
        let step = match select(std::pin::pin!(self.step()), timer).await {
            Either::Left((step, _)) => step,
            Either::Right(_) => return Err(SendError::BetweenBytesTimeout),
        };
        match step {
            None => Ok(None),
            Some(PeerStep::Piece(bytes)) => Ok(Some(bytes)),
            Some(PeerStep::Fail(error)) => Err(error),
            Some(PeerStep::Head(..) | PeerStep::Wait(_)) => {
                Err(SendError::Other("a second head".to_owned()))
            }
        }
    }

    async fn may_be_buffered(&self) -> bool {
        true
    }
}
