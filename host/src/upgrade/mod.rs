//! WebSockets: a client's connection joined with a service's.
//!
//! A component gets requests and answers them; it cannot take over a connection. So it has the host do that, in
//! three steps, with the field [`JOIN_FIELD`], which no client and no service gets to see or can use:
//!
//! 1. A request that is in order ([`Offer`]) comes to the component with its `Upgrade`, which no other one keeps.
//! 2. The component sends a request to the service, with `x-gateway-join: KEY MILLISECONDS`. The host sends it as an
//!    upgrade, under the rules for everything that a component sends. If the service answers 101, so does the answer
//!    that the component gets, with `x-gateway-join: NAME`: the connection is kept by this name ([`Joins`]). The
//!    answer's body ends when the connections have come apart (`life_line`).
//! 3. The component answers 101 with the same field. The client gets the 101, and the connections are joined
//!    (`tunnel`), for as many milliseconds as the component said, past the component.

mod frames;
mod joins;
mod life_line;
mod offer;
mod pace;
mod passing;
mod tunnel;

use http::HeaderName;

pub use joins::{Asked, Joins, KEY_VARIABLE};
pub use offer::Offer;

/// The field by which component and host understand each other.
pub const JOIN_FIELD: HeaderName = HeaderName::from_static("x-gateway-join");
