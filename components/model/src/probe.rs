//! Whether a provider takes a key again: asked by its list of models, which costs nothing, never by a chat.

use std::sync::Arc;
use std::time::Duration;

use spillway_failover::Pool;
use spillway_platform::spin::{SpinClock, SpinSender};
use spillway_platform::{Clock, Headers, OutboundRequest, Sender, Timeouts};

use crate::Instance;

/// No caller waits for this.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_secs(10),
    between_bytes: Duration::from_secs(10),
};

/// Probes a key, if no other instance does; puts it back if the provider lists its models with it.
pub(crate) async fn probe(instance: &'static Instance, pool: Arc<Pool>, key: usize) {
    let Some(digest) = pool.keys().get(key).map(|key| key.digest.clone()) else {
        return;
    };
    if !instance.pools.claims_probe(&pool, &digest).await {
        return;
    }
    let Some(request) = request(&pool, key) else {
        return;
    };
    let is_taken = SpinSender
        .send(request)
        .await
        .is_ok_and(|response| response.status.is_success());
    if is_taken && let Some(transition) = pool.vouch(SpinClock.now(), key) {
        instance.pools.publish(pool, transition, &instance.meter);
    }
}

fn request(pool: &Pool, key: usize) -> Option<OutboundRequest> {
    let way = spillway_failover::Way {
        endpoint: 0,
        key: Some(key),
    };
    let (upstream, key) = (pool.upstream(way)?, pool.key(way)?);
    let mut headers = Headers::default();
    headers.append("authorization", format!("Bearer {}", key.secret));
    headers.append("accept", "application/json");
    headers.append("user-agent", "spillway-probe");
    Some(OutboundRequest {
        method: http::Method::GET,
        scheme: upstream.scheme.clone(),
        authority: upstream.authority.clone(),
        path_and_query: format!("{}/models", upstream.base_path),
        headers,
        body: bytes::Bytes::new(),
        timeouts: TIMEOUTS,
    })
}
