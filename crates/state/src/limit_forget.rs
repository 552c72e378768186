//! Taking back what a request was counted in that should not have been.

use spillway_platform::Counted;

/// Takes back what one request was counted in; a window that counts nobody then is gone. Answers 1. To be sent once:
/// done twice it takes back somebody else's.
///
/// Arguments are [`limit_forget_arguments`]'.
pub const LIMIT_FORGET_V1: &str = include_str!("limit_forget_v1.lua");

/// What `EVAL` gets after [`LIMIT_FORGET_V1`].
pub fn limit_forget_arguments(counted: &[Counted]) -> Vec<String> {
    let keys = counted.iter().map(|counted| counted.take.key.clone());
    let sub_windows = counted.iter().map(|counted| counted.sub_window.to_string());
    std::iter::once(counted.len().to_string())
        .chain(keys)
        .chain(sub_windows)
        .collect()
}
