//! The platform as Spin gives it: the one place that talks to the runtime. Must not know any policy.
//!
//! Facts it rests on are in the module of each: the two body paths (`forward` splices, `receive` and `respond`
//! copy), the cure of the 40 ms stall (`respond`, `send`), timeouts on every send.

#![cfg(target_arch = "wasm32")]

use std::io::Write as _;

mod clock;
mod errors;
mod fields;
mod forward;
mod join;
mod key_value;
mod receive;
mod redis;
mod respond;
mod send;
mod variables;

pub use clock::SpinClock;
pub use forward::{Answered, Forwarded, ForwardedBody, forward};
pub use join::{Join, JoinKey, JoinName, end_of_join};
pub use key_value::{Error as KeyValueError, KeyValue};
pub use receive::{ANSWERS_IN_HAND, ReceiveError, read_body, request_head};
pub use redis::{Error as RedisError, Parameter, Redis, Reply};
pub use respond::{ResponseWriter, respond, respond_with_stream, response_stream};
pub use send::{SpinBody, SpinSender};
pub use spin_sdk::wasip3::http::types::{ErrorCode, Request, Response};
pub use spin_sdk::wasip3::spawn;
pub use spin_sdk::wasip3::wit_bindgen::yield_async as take_turns;
pub use variables::variable;

/// A number that differs from call to call, good for spreading load and for nothing that must be secret.
pub fn random_number() -> u32 {
    let [first, second, third, fourth, ..] =
        spin_sdk::wasip3::random::insecure::get_insecure_random_u64().to_le_bytes();
    u32::from_le_bytes([first, second, third, fourth])
}

/// A number that no other call anywhere gets, good for names and for nothing that must be secret.
pub fn random_name() -> u128 {
    let half = || u128::from(spin_sdk::wasip3::random::insecure::get_insecure_random_u64());
    half() << 64 | half()
}

/// Writes one line to the component's log, standard error, in one call of the host.
pub fn log(line: &str) {
    // A log that takes nothing is no reason to fail a request.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
