//! Histories of the whole gateway: clients, upstreams, a store and faults drawn from a seed, on virtual time, and what has
//! to hold in each. Must not know how the gateway does what it does.
//!
//! ```
//! let history = spillway_sim::run(&spillway_sim::plan(7));
//! assert_eq!(spillway_sim::violations(&history), []);
//! ```

pub mod api;
mod client;
pub mod content;
mod draw;
mod fate;
mod fleet;
pub mod history;
mod invariants;
mod minimise;
mod panics;
pub mod plan;
mod record;
pub mod settings;
mod trace;
pub mod upstream;
mod world;

pub use draw::plan;
pub use history::History;
pub use invariants::{Violation, violations};
pub use minimise::minimise;
pub use plan::Plan;
pub use trace::trace;
pub use world::run;
