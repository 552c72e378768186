//! Both ends of the conversations a gateway stands in the middle of, byte by byte: stand-ins for the services
//! behind it ([`StandinDify`], [`StandinModel`], [`StandinAnthropic`]), which misbehave on command, and a [`client`] in front of it.
//! For tests and for the demonstration. Must not know the gateway: neither its paths nor its headers.

mod anthropic;
mod behaviour;
mod black_hole;
mod chunked;
pub mod client;
mod connection;
mod dify;
mod error;
mod event_stream;
mod gate;
mod json;
mod model;
mod port;
mod ragflow;
mod recorder;
mod reply;
mod request;
mod script;
mod server;
mod surface;

pub use anthropic::StandinAnthropic;
pub use behaviour::{Behaviour, Step};
pub use black_hole::BlackHole;
pub use chunked::{ChunkedDecoder, ChunkedPiece};
pub use dify::StandinDify;
pub use error::StandinError;
pub use event_stream::{Break, Cut, Event, EventStream, LineEnd, UsagePlacement};
pub use gate::{Gate, Wait};
pub use model::{ModelOptions, StandinModel, Usage, chat_text, usage};
pub use port::ReservedPort;
pub use ragflow::{RagflowOptions, StandinRagflow, ragflow_chunk_text, ragflow_error};
pub use reply::Reply;
pub use request::{BodyFraming, RecordedRequest, Service};
pub use server::Standin;
