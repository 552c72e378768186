//! What is known of a provider.

/// What is known of one endpoint or credential of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolEntry {
    /// The endpoint's or key's name.
    pub name: String,
    /// Its state.
    pub state: String,
    /// How much longer, in milliseconds.
    pub rest_ms: u64,
    /// How long it has been so, in milliseconds.
    pub age_ms: u64,
}
