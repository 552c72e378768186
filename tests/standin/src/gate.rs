//! Letting a scripted answer go on from a test, so that no test has to sleep.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

/// Holds a scripted answer until the test lets it go on. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets one waiter through, the present or the next one.
    pub fn release(&self) {
        self.0.add_permits(1);
    }

    /// Lets everybody through from now on.
    pub fn open(&self) {
        self.0.close();
    }

    /// Waits to be let through.
    pub async fn pass(&self) {
        // An error means that the gate has been opened for good.
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

/// What a scripted answer waits for.
#[derive(Debug, Clone)]
pub enum Wait {
    /// So long.
    For(Duration),
    /// Until the test releases the gate.
    Release(Gate),
}

impl Wait {
    pub(crate) async fn pass(&self) {
        match self {
            Self::For(duration) => tokio::time::sleep(*duration).await,
            Self::Release(gate) => gate.pass().await,
        }
    }
}
