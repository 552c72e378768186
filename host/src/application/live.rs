//! The version of an application that is in force.

use std::sync::{Arc, PoisonError, RwLock};

use super::{Application, Base};

/// An application whose version can be replaced while it serves: requests that come afterwards get the new one. What the
/// former serves comes to its end in its own instances, which go when nothing has come for as long as any idle one.
pub struct LiveApplication {
    current: RwLock<Arc<Application>>,
    base: Arc<Base>,
}

impl LiveApplication {
    /// Begins with this version.
    pub fn new(first: Application) -> Self {
        let base = Arc::clone(&first.base);
        base.peers.introduce(first.handlers.clone());
        Self {
            current: RwLock::new(Arc::new(first)),
            base,
        }
    }

    /// The version in force.
    pub fn current(&self) -> Arc<Application> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    /// What all versions share.
    pub const fn base(&self) -> &Arc<Base> {
        &self.base
    }

    /// Puts another version in force.
    pub fn replace(&self, next: Application) {
        self.base.peers.introduce(next.handlers.clone());
        self.base.pool.slots.begin_version();
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let former = std::mem::replace(&mut *current, Arc::new(next));
        drop(current);
        // It may take its folder with it, which nobody is to wait for.
        drop(former);
    }
}
