//! What an operator configures: the types of `gateway.yaml`, their defaults, and (with the feature
//! `document`) reading the file with positions, checking it and writing its normal form.
//! Must not know Spin, HTTP messages, or how any policy works.

mod agent;
mod gateway;
mod matching;
mod model;
mod units;

pub use agent::{AgentApi, AgentProtocol, AgentRoute, AgentTimeouts, DifyService, DifyServices};
pub use gateway::{Consumer, Credential, Gateway, State};
pub use matching::{PathMatch, RequestMatch, ValueMatch};
pub use model::{
    Fallback, FallbackCondition, ModelApi, ModelMatch, ModelPolicies, ModelRoute, Provider,
    ProviderType, StatusPattern, Target,
};
pub use units::{ByteSize, TimeSpan};
