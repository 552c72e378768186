//! Runs the application of a `spin.toml` without Spin: the same manifest, runtime configuration,
//! interfaces and headers, over WASI 0.3 and HTTP only.
//! Must not know what the components do: of `gateway.yaml` it only hands the normal form on. (The operator's tool beside
//! it, `command`, `reload` and `trials`, knows the file.)

mod answer;
pub mod application;
mod bindings;
pub mod body;
pub mod capacity;
pub mod command;
mod component;
mod demo;
mod dispatch;
mod engine;
pub mod gateway_config;
mod hand_over;
pub mod harsh;
mod instance;
pub mod key_value;
mod lingering;
pub mod log_lines;
pub mod manifest;
pub mod outbound;
mod peers;
mod redis;
mod refusals;
pub mod reload;
mod request_body;
pub mod reuse;
pub mod routes;
pub mod runtime_config;
mod secrets;
mod send_timeout;
pub mod server;
mod service;
mod spin_headers;
pub mod template;
pub mod tls;
pub mod toml_document;
mod trials;
pub mod upgrade;
pub mod variables;
