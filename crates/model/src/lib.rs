//! Model APIs in OpenAI's form: what a request asks, which route serves it, what a stream says, and the call
//! through its targets. Must not know Spin, consumers' credentials or limits.

mod answer;
mod assemble;
mod call;
mod catalogue;
mod chunk;
mod client_headers;
mod complete;
mod error_form;
mod operation;
mod pattern;
mod redaction;
mod refusal;
mod request;
mod retry_after;
mod route;
mod scan;
mod stream;
mod target;
mod tries;
mod usage;
mod waiter;

pub use answer::{Attempt, CallAnswer, Served, error_document};
pub use assemble::as_document;
pub use call::{Call, Completed};
pub use catalogue::{Api, Catalogue, Error, NoRoute};
pub use chunk::{ChunkReader, Progress, ProviderError};
pub use client_headers::passed_headers;
pub use complete::{Inspected, inspect};
pub use operation::{Operation, OperationMatch, versioned};
pub use pattern::ModelPattern;
pub use request::{MAX_MODEL_BYTES, ModelRequest, RequestError, RequestScan};
pub use retry_after::retry_after;
pub use route::{Asked, Route};
pub use stream::{StreamEnd, StreamSummary};
pub use target::{TargetPlace, Timeout};
pub use tries::PoolWatch;
pub use usage::Usage;
pub use waiter::StreamOutput;
