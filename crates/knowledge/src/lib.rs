//! Knowledge APIs: Dify's external knowledge contract in front of retrieval engines. What a request asks, how an
//! engine is asked, and what Dify is told. Must not know Spin, limits or caches.

mod answer;
mod catalogue;
mod condition;
mod dify_compatible;
mod engine;
mod failure;
mod query;
mod ragflow;
mod record;
mod retrieval;

pub use answer::{Answer, ErrorCode, Outcome, error_document};
pub use catalogue::{Api, Caller, Catalogue, Error};
pub use condition::{Condition, Logic, MetadataCondition, Operand};
pub use query::{MAX_REQUEST_BYTES, Query, Request};
pub use record::Record;
pub use retrieval::{MAX_ENGINE_ANSWER_BYTES, Retrieval};
