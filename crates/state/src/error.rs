//! What can go wrong with shared state.

/// Why a store gave no result that can be used. `E` is the store's own error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error<E = std::convert::Infallible> {
    /// The store's own words.
    #[error("{0}")]
    Store(E),
    /// A script answered with something else than it answers.
    #[error("the store's answer is none that this release knows")]
    Answer,
    /// A key-value store took longer than a sub-window lasts, again and again.
    #[error("the store is too slow to count requests within a sixth of the shortest window")]
    TooSlow,
}
