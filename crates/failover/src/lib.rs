//! Which way a call takes next: ordered targets, the endpoints and keys of their providers, what is set aside, and
//! how much may be tried again. Must not know how a target is called, what its answer means, or where state is shared.
//!
//! A **way** to a target is one endpoint and one key of its provider's [`Pool`]. A failure is somebody's fault
//! ([`Blame`]): an endpoint's is counted by its breaker ([`Breaker`]), a key's takes the key out or cools it, and a
//! client's own sets nothing aside. The [`Chain`] of one call goes first to the other ways of the same target that
//! avoid who is to blame, then to the next target that is not set aside, then, where it may, round again.

mod breaker;
mod budget;
mod chain;
mod failure;
mod key;
mod order;
mod pool;
mod shared;

pub use breaker::Breaker;
pub use budget::Budget;
pub use chain::{Chain, Step, Stop};
pub use failure::{Blame, Failure};
pub use key::{Key, KeyFault, ProbeKind, Probed, key_digest};
pub use order::target_order;
pub use pool::{Outcome, Pool, Tried, Way};
pub use shared::{SharedEntry, SharedState, Subject, Transition};
