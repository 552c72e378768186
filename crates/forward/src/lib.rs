//! Forwarding to Dify: which API, route and service a request is for, which headers go along, and what the
//! gateway answers itself. Must not know Spin, nor what the bodies mean.

mod answer;
mod condition;
mod dify;
mod hygiene;
mod path;
mod router;

pub use answer::{Answer, Surface, openai_error};
pub use hygiene::{ForwardedHeaders, PeerTrust, drop_internal_headers, drop_unforwardable_headers};
pub use path::{has_dot_segment, is_below, strip_base};
pub use router::{Destination, Error, Router, RoutingFailure};
