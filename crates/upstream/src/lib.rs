//! Which endpoint and credential a call takes next: ordered targets, the endpoints and keys of their providers, what is
//! ejected, how much may be tried again, and the loop of attempts. Must not know how a target is called, what its
//! answer means, or where state is shared.
//!
//! A call is sent with a credential of its target's provider to one of its endpoints ([`Pool`]); which endpoint, of those
//! that are well, a [`LoadBalancer`] picks. A failure is somebody's fault ([`Blame`]), as far as one call can tell: an
//! endpoint's is counted by the breaker of the call's consumer ([`Breaker`]), a key is suspected or cools for this
//! consumer, and a client's own fault ejects nothing. For everybody holds only what no client can cause: that nobody
//! answers there, what a probe found, and what a second consumer found as well. The [`Chain`] of one call goes first to
//! what else of the same target avoids who is to blame, then to the next target that is not ejected, then, where it
//! may, round again. [`Attempts`] is the loop.

mod agreement;
mod attempt;
mod attempt_log;
mod attempts;
mod breaker;
mod budget;
mod candidates;
mod chain;
mod endpoint;
mod failure;
mod key;
mod key_state;
mod load_balancer;
mod order;
mod pool;
mod probe;
mod shared;
mod watch;

pub use attempt::{Attempt, AttemptError, AttemptRecord};
pub use attempt_log::AttemptLog;
pub use attempts::{Attempted, Attempts, Dispatcher, Ended, GaveUp, Target};
pub use breaker::Breaker;
pub use budget::Budget;
pub use candidates::{CallContext, Candidates, Pick};
pub use chain::{Chain, Step, Stop};
pub use failure::{Blame, Failure};
pub use key::{Key, key_digest};
pub use key_state::KeyFault;
pub use load_balancer::{LeastRequest, LoadBalancer, PickContext, RoundRobin};
pub use order::target_order;
pub use pool::{AttemptOutcome, Excluded, Pool};
pub use probe::{ProbeKind, Probed};
pub use shared::{SharedEntry, SharedState, Subject, Thing, Transition};
pub use watch::PoolWatch;
