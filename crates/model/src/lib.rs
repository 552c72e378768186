//! Model APIs in OpenAI's form: what a request asks, which route serves it, what a stream says, and the call
//! through its targets. Must not know Spin, consumers or limits.

mod answer;
mod call;
mod catalogue;
mod chunk;
mod complete;
mod operation;
mod request;
mod stream;
mod usage;

pub use answer::{Attempt, CallAnswer, Served, error_document};
pub use call::{Call, Completed};
pub use catalogue::{Api, Catalogue, Error, Route, TargetPlace};
pub use chunk::{ChunkReader, Progress, ProviderError};
pub use complete::{Inspected, inspect};
pub use operation::{Operation, OperationMatch};
pub use request::{ModelRequest, RequestError};
pub use stream::{StreamEnd, StreamOutput, StreamSummary};
pub use usage::Usage;
