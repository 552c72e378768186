//! Which way a call takes next: ordered targets, the endpoints and keys of their providers, what is set aside, and
//! how much may be tried again. Must not know how a target is called, what its answer means, or where state is shared.
//!
//! A **way** to a target is one endpoint and one key of its provider's [`Pool`]. A failure is somebody's fault
//! ([`Blame`]), as far as one call can tell: an endpoint's is counted by the breaker of the call's consumer
//! ([`Breaker`]), a key is suspected or cools for this consumer, and a client's own fault sets nothing aside. For
//! everybody holds only what no client can cause: that nobody answers there, what a probe found, and what a second
//! consumer found as well. The [`Chain`] of one call goes first to the other ways of the same target that avoid who is to blame, then to the next
//! target that is not set aside, then, where it may, round again.

mod agreement;
mod breaker;
mod budget;
mod chain;
mod endpoint;
mod failure;
mod key;
mod key_state;
mod order;
mod pool;
mod probe;
mod shared;

pub use breaker::Breaker;
pub use budget::Budget;
pub use chain::{Chain, Step, Stop};
pub use failure::{Blame, Failure};
pub use key::{Key, key_digest};
pub use key_state::KeyFault;
pub use order::target_order;
pub use pool::{Outcome, PickContext, Pool, Tried, Way};
pub use probe::{ProbeKind, Probed};
pub use shared::{SharedEntry, SharedState, Subject, Thing, Transition};
