//! What happened: the closed set of reasons, the counters an instance sums up, and their Prometheus form.
//! Must not know where the sums are kept, nor anything of Spin or HTTP messages.

mod counters;
mod prometheus;
mod reason;

pub use counters::{AgentRun, AgentTokens, Api, Counters, KnowledgeCall, ModelCall, TokenKind};
pub use prometheus::render;
pub use reason::Reason;
