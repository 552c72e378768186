//! What every component's instance does once: read its configuration, keep its counters and add them to the
//! totals of all instances. Must not know what a component does with a request.
#![cfg(target_arch = "wasm32")]

mod lease;
mod limits;
mod meter;
mod settings;
mod totals;

pub use lease::Lease;
pub use limits::{Admission, Limits, Passage, Refusal};
pub use meter::Meter;
pub use settings::{SettingsError, read_settings};
pub use totals::Totals;
