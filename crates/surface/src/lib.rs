//! The gateway's own replies, in each client's own form. Must not know why a policy replies, nor what an upstream says.
//!
//! ```
//! use http::StatusCode;
//! use spillway_surface::{LocalReply, Surface};
//! use spillway_telemetry::Reason;
//!
//! let reply = LocalReply::error(StatusCode::NOT_FOUND, Reason::NotFound, "There is no model `x` here.");
//! let rendered = Surface::OpenAi.render(reply);
//! assert_eq!(rendered.headers.text("content-type"), Some("application/json"));
//! assert!(rendered.body.starts_with(br#"{"error":{"#));
//! ```

mod local_reply;
mod openai;
mod page;
mod render;
mod stream_error;
mod transport;

pub use local_reply::{LocalReply, ReplyBody};
pub use openai::openai_error;
pub use render::{Rendered, Surface};
pub use transport::{Peer, transport_failure};
