//! What the store does: the names of its keys, the scripts that change them in one step, and the two stores that do
//! what the port `State` asks. Must not know by which calls of a runtime a command reaches Redis, nor what policies make of the values.
//!
//! Names carry a version, so that two releases can share a store. Every key of one script call shares a hash tag
//! (`{…}`), so that Redis Cluster can keep them together, and has an expiry.

mod breaker;
mod charge;
mod connection_manager;
mod distance;
mod error;
mod explain;
mod key_value;
mod lease;
mod limit_index;
mod memory;
mod metrics;
mod nonce;
mod number_store;
mod oracle;
mod pool;
mod redis_connection;
mod redis_store;
mod script;
mod settle;
mod store;
mod sub_windows;
mod totals;
mod transport;
mod usage;

pub use breaker::{StoreBreaker, StoreTransition};
pub use charge::{LIMIT_CHARGE_V5, limit_charge_arguments, read_limit_charge};
pub use connection_manager::ConnectionManager;
pub use distance::Distance;
pub use error::Error;
pub use explain::explain_redis_error;
pub use key_value::{
    Increment, charge_in_numbers, move_reservation, number_expires_ms, settle_in_numbers,
    settle_reservation, standings_in_numbers,
};
pub use lease::{LEASE_RELEASE_V1, LEASE_RENEW_V2, lease_release_arguments, lease_renew_arguments};
pub use limit_index::{
    LIMIT_INDEX_V1, LIMIT_READ_V1, limit_index_arguments, limit_read_arguments,
    read_limit_standings,
};
pub use memory::MemoryStore;
pub use metrics::{METRICS_ADD_V2, metrics_add_arguments};
pub use nonce::{nonce_claim_arguments, nonce_number_key};
pub use number_store::{KeyValue, NumberStore};
pub use oracle::Oracle;
pub use pool::{
    POOL_READ_V3, POOL_WRITE_V3, PROBE_CLAIM_MS, pool_read_arguments, pool_write_arguments,
    probe_claim_arguments, read_pools,
};
pub use redis_connection::{RedisConnection, RedisError, Reply};
pub use redis_store::RedisStore;
pub use script::script_sha1;
pub use settle::{LIMIT_SETTLE_V2, limit_settle_arguments};
pub use store::Store;
pub use transport::Transport;
pub use usage::{
    USAGE_OBSERVE_V1, read_usage_profile, usage_observe_arguments, usage_profile_arguments,
};
