//! The platform as Spin gives it: the one place that talks to the runtime. Must not know any policy.
//!
//! Facts it rests on are in the module of each: the two body paths (`forward` splices, `receive` and `respond`
//! copy), the cure of the 40 ms stall (`respond`, `send`), timeouts on every send.
#![cfg(target_arch = "wasm32")]

mod clock;
mod errors;
mod fields;
mod forward;
mod key_value;
mod platform;
mod receive;
mod redis;
mod respond;
mod send;
mod turn;
mod variables;

pub use forward::Unread;
pub use key_value::{KeyValueError, SpinKeyValue};
pub use platform::{Spin, SpinState};
pub use redis::SpinRedis;
pub use respond::{SpinReader, SpinWriter};
pub use send::SpinBody;
pub use spin_sdk::wasip3::http::types::{ErrorCode, Request, Response};
