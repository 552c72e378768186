//! What an operator configures: the types of `gateway.yaml`, their defaults, and (with the feature
//! `document`) reading the file with positions, checking it and writing its normal form.
//! Must not know Spin, HTTP messages, or how any policy works.

mod agent;
mod cors;
mod error;
mod fallback;
mod fallback_condition;
mod forward_headers;
mod gateway;
mod knowledge;
mod load_balance;
mod matching;
mod model;
mod moment;
mod networks;
mod normal_form;
mod provider;
mod provider_type;
mod rate_limit;
mod secret;
mod telemetry;
pub mod template;
mod units;
mod version;

#[cfg(feature = "document")]
mod allowed_hosts;
#[cfg(feature = "document")]
mod document;
#[cfg(feature = "document")]
mod outbound;
#[cfg(feature = "document")]
mod schema;

pub use agent::{
    AgentApiConfig, AgentPolicies, AgentProtocol, AgentRoute, AgentTimeouts, DifyService,
    DifyServices,
};
pub use cors::CorsConfig;
pub use error::Error;
pub use fallback::{Fallback, FallbackCondition, StatusPattern};
pub use forward_headers::PASSED_HEADERS;
pub use gateway::{
    Admin, Consumer, Credential, Gateway, HmacCredential, MIN_ADMIN_TOKEN, StateConfig,
    is_short_token,
};
pub use knowledge::{
    DifyCompatibleBackend, KnowledgeApiConfig, KnowledgeBackend, KnowledgePolicies, RagflowBackend,
};
pub use load_balance::{LbPolicy, LoadBalance};
pub use matching::{PathMatch, RequestMatch, ValueMatch};
pub use model::{
    ContextWindow, ModelApiConfig, ModelMatch, ModelPolicies, ModelRoute, OnExceeded, Parameters,
    TargetConfig,
};
pub use moment::Moment;
pub use normal_form::parse_normal_form;
pub use provider::{CircuitBreaker, Provider, ProviderKey};
pub use provider_type::{Protocol, ProviderType};
pub use rate_limit::{
    AddressSource, Argument, Dimension, HigressRedis, KeyPattern, LimitBy, LimitKey, LimitRule,
    LimitScope, OnError, Quota, QuotaWindow, RateLimit, RequestQuota, ReserveMode, RuleItem,
    Source, TokenKind, TokenLimit, TokenQuota, Values,
};
pub use secret::Secret;
pub use telemetry::{LogConfig, LogFormat, LogLevel, Telemetry};
pub use units::{ByteSize, TimeSpan};
pub use version::config_version;

#[cfg(feature = "document")]
pub use {
    allowed_hosts::AllowedHosts,
    document::{Checked, Diagnostic, Severity, read, resolved_mistakes},
    normal_form::normal_form,
    outbound::{missing_hosts, outbound_hosts},
    schema::json_schema,
};
