//! What the store does: the names of its keys, the scripts that change them in one step, and the two stores that do
//! what the port `State` asks. Must not know how a command reaches Redis, nor what policies make of the values.
//!
//! Names carry a version, so that two releases can share a store. Every key of one script call shares a hash tag
//! (`{…}`), so that Redis Cluster can keep them together, and has an expiry.

mod breaker;
mod distance;
mod error;
mod explain;
mod key_value;
mod lease;
mod limit_forget;
mod limit_take;
mod memory;
mod nonce;
mod number_store;
mod pool;
mod redis_connection;
mod redis_store;
mod script;
mod store;
mod sub_windows;

pub use breaker::{Breaker, Transition};
pub use distance::Distance;
pub use error::Error;
pub use explain::explain_redis_error;
pub use key_value::{Increment, forget_in_numbers, number_expires_ms, take_from_numbers};
pub use lease::{LEASE_RELEASE_V1, LEASE_RENEW_V1, lease_release_arguments, lease_renew_arguments};
pub use limit_forget::{LIMIT_FORGET_V1, limit_forget_arguments};
pub use limit_take::{LIMIT_TAKE_V3, limit_take_arguments, read_limit_take};
pub use memory::MemoryStore;
pub use nonce::{nonce_claim_arguments, nonce_number_key};
pub use number_store::{KeyValue, NumberStore};
pub use pool::{
    POOL_READ_V2, POOL_WRITE_V2, PROBE_CLAIM_MS, pool_read_arguments, pool_write_arguments,
    probe_claim_arguments, read_pool,
};
pub use redis_connection::{Patience, RedisConnection, RedisError, Reply};
pub use redis_store::RedisStore;
pub use script::script_sha1;
pub use store::Store;

/// Totals of all counters, a Redis hash or a key-value entry of `series value` lines.
pub const METRICS_KEY: &str = "spillway:{metrics}:v1";

/// A series that cannot be added to (it would overflow) is passed over, so that the others are added once and not at
/// every new try. Adds to totals: `KEYS[1]` the hash, `ARGV[1]` its time to live in seconds, then series and amount in turn.
pub const METRICS_ADD_V1: &str = "\
for i = 2, #ARGV, 2 do
  redis.pcall('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1
";

/// How long totals outlive their last change: 30 days.
pub const METRICS_TTL_SECONDS: i64 = 30 * 24 * 60 * 60;
