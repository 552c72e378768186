//! The keys of limits that requests were counted under lately.

/// So many are kept, those that were used last.
pub const MAX_INDEXED_LIMITS: usize = 1_000;

/// In a store of one machine fewer: the index is one value there, written whole.
pub const MAX_INDEXED_UNSHARED: usize = 100;

/// A key of a limit that requests were counted under lately, for whoever looks at limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedLimit {
    /// [`Charge::key`](super::Charge::key).
    pub key: String,
    /// What it counts, as a policy wrote it.
    pub description: String,
}
