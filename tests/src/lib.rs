//! The harness of the black-box suite: starts the built application on the embedded host (or, with
//! `GATEWAY_HOST=harsh` or `spin`, on its harsh variant or on Spin) between stand-ins and a client that sees every byte.
//! Must not know the gateway's code: only its files, its command line and what it answers.
//!
//! A test is a plain `#[test]` that calls [`run`]. Everything it starts lives on one runtime of the process, so
//! that tests of a file can share a gateway ([`Shared`]) and tell their requests apart by a [`mark`].

mod answer;
mod certificates;
mod chat;
mod distant;
mod exemptions;
mod gateway;
mod host_names;
mod launch;
mod log;
mod manifest;
pub mod metrics;
mod oddity;
mod process;
mod program;
mod random;
mod redis;
mod repository;
mod runtime;
mod sample;
mod shared;
mod tls_tunnel;

pub use answer::{
    Reason, assert_dify_error, assert_openai_error, attempts, model, provider, reason,
};
pub use certificates::Certificates;
pub use chat::{Chat, chat_request, message, stream_request};
pub use distant::Distant;
pub use gateway::{Gateway, Options};
pub use host_names::HostName;
pub use launch::prepare;
pub use oddity::{Oddity, oddities};
pub use process::{Outcome, run_to_end};
pub use program::{Program, node_script};
pub use random::Random;
pub use redis::Redis;
pub use repository::{
    Host, embedded_only, mannerly_only, python, repository_root, spillway_binary, unless_harsh,
};
pub use runtime::{run, until, until_within};
pub use shared::{Shared, mark};
pub use spillway_standin as standin;
pub use spillway_standin::client;
pub use tls_tunnel::TlsTunnel;
