//! What every component's instance does once: read its configuration, keep its counters and add them to the
//! totals of all instances. Must not know what a component does with a request.
#![cfg(target_arch = "wasm32")]

mod digest_secret;
mod lease;
mod limit_store;
mod limits;
mod meter;
mod pools;
mod replay;
mod settings;
mod totals;

pub use lease::Lease;
pub use limits::{Admission, Limits, Passage, Refusal};
pub use meter::Meter;
pub use pools::PoolStates;
pub use replay::{Replay, ReplayGuard, since_1970};
pub use settings::{SettingsError, read_settings};
pub use totals::Totals;
