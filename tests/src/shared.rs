//! Sharing a gateway among the tests of a file.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU64, Ordering},
};

use anyhow::Result;
use tokio::sync::Mutex;

/// Something that all tests of a file use. It is started by the first one that wants it and dropped with the
/// last one that has it, so that nothing is left running at the end of the process.
#[derive(Debug)]
pub struct Shared<T>(Mutex<Weak<T>>);

impl<T> Shared<T> {
    /// Not started yet.
    pub const fn new() -> Self {
        Self(Mutex::const_new(Weak::new()))
    }

    /// The running one, or a new one.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn get(&self, start: impl AsyncFnOnce() -> Result<T>) -> Result<Arc<T>> {
        let mut present = self.0.lock().await;
        if let Some(running) = present.upgrade() {
            return Ok(running);
        }
        let started = Arc::new(start().await?);
        *present = Arc::downgrade(&started);
        Ok(started)
    }
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// A word that stands in no other request, so that a test finds its own ones and scripts the answers to them.
/// No mark begins with another one.
pub fn mark() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("mark-{:06}", NEXT.fetch_add(1, Ordering::Relaxed))
}
