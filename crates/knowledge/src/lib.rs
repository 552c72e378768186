//! Knowledge APIs: Dify's external knowledge contract in front of retrieval engines. What a request asks, how an
//! engine is asked, and what Dify is told. Must not know Spin, limits or caches.

mod catalogue;
mod condition;
mod dify_compatible;
mod engine;
mod failure;
mod query;
mod ragflow;
mod record;
mod reply;
mod retrieval;

pub use catalogue::{Error, KnowledgeApi, KnowledgeCaller, KnowledgeCatalogue};
pub use condition::{Condition, Logic, MetadataCondition, Operand};
pub use query::{MAX_REQUEST_BYTES, Query, Request};
pub use record::Record;
pub use reply::{ErrorCode, RetrievalOutcome, RetrievalReply};
pub use retrieval::{MAX_ENGINE_ANSWER_BYTES, Retrieval};
