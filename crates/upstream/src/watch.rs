//! Who is told of what a pool has found out.

use std::sync::Arc;

use crate::{Pool, Transition};

/// Is told when a provider's endpoint or key is ejected, or used again.
pub trait PoolWatch {
    /// Something has changed that other instances should know of.
    fn changed(&self, pool: &Arc<Pool>, transition: Transition);

    /// A key or an endpoint may be at fault, and a probe would tell.
    fn suspects(&self, pool: &Arc<Pool>);
}
