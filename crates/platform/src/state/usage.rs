//! What calls of one kind have used.

/// A key of what calls of one kind have used begins so.
pub const USAGE_KEY_PREFIX: &str = "spillway:{usage}:v1:";

/// What calls of one kind have used lately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageProfile {
    /// How many calls it knows of; old ones fade.
    pub calls: u64,
    /// The 95th percentile of what they used, at most an eighth too high.
    pub p95: u64,
}
