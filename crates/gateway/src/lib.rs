//! A request's path: the phases that every request of a kind of API goes through, in the one order that they have.
//! Must not know the runtime that it runs in, nor what the policies decide: in which order they are asked is here, what
//! they say is theirs.

pub mod agent;
mod call_usage;
pub mod console;
mod copying;
mod digest_secret;
pub mod knowledge;
mod limits;
mod log;
mod meter;
mod misconfigured;
pub mod model;
mod nonce;
mod permit;
mod pools;
mod retry;
mod runtime;
mod settings;
mod settlement;
mod state_access;
mod usage_profiles;

pub use limits::{Demand, Limits, Passage};
pub use log::Log;
pub use meter::Meter;
pub use permit::Permit;
pub use runtime::Runtime;
pub use settlement::Settlement;
