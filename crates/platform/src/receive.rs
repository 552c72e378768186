//! Requests' bodies that are read whole.

use crate::NoRoom;

/// A body that could not be read whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiveError {
    /// It is larger than allowed.
    #[error("the request body is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The client broke off.
    #[error("the request body broke off: {0}")]
    Broken(String),
    /// Other requests' bodies leave no room for this one.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The client stopped sending, or took longer than it may.
    #[error("the request body did not come in time")]
    TooSlow,
}
