//! Forwarding to Dify: which API, route and service a request is for, which headers go along. Must not know Spin, nor what the bodies mean.

mod answer_headers;
mod condition;
mod cors;
mod dify;
mod end_user;
mod hygiene;
mod path;
mod request_id;
mod router;

pub use answer_headers::{keep_events_moving, media_type, rewrite_places};
pub use condition::Conditions;
pub use cors::Cors;
pub use dify::{Class, asks_for_websocket};
pub use end_user::{UserPlace, may_be_json};
pub use hygiene::{
    ForwardedHeaders, PeerTrust, ambiguity, drop_internal_headers, drop_unforwardable_headers,
};
pub use path::{is_below, resolves_elsewhere, strip_base};
pub use request_id::{REQUEST_ID, request_id};
pub use router::{ApiRules, Destination, Error, RouteName, Router, RoutingFailure, Service};
