//! Whether a provider takes a key again: asked by its list of models, which costs nothing, never by a chat.

use std::sync::Arc;
use std::time::Duration;

use spillway_failover::{Pool, ProbeKind, Probed, Way};
use spillway_platform::spin::{SpinClock, SpinSender};
use spillway_platform::{Clock, Headers, OutboundRequest, Sender, Timeouts};

use crate::Instance;

/// No caller waits for this.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_secs(10),
    between_bytes: Duration::from_secs(10),
};

/// Probes a key, for one that is out if no other instance does, and takes over what comes of it.
pub(crate) async fn probe(instance: &'static Instance, pool: Arc<Pool>, way: Way, kind: ProbeKind) {
    let Some(digest) = pool.key(way).map(|key| key.digest.clone()) else {
        return;
    };
    if kind == ProbeKind::Out && !instance.pools.claims_probe(&pool, &digest).await {
        return;
    }
    let Some(request) = request(&pool, way) else {
        return;
    };
    let found = match SpinSender.send(request).await {
        Ok(response) if response.status.is_success() => Probed::Taken,
        Ok(response) if matches!(response.status.as_u16(), 401 | 403) => Probed::Refused,
        Ok(_) | Err(_) => Probed::Unclear,
    };
    if let Some(transition) = pool.probed(SpinClock.now(), way, found) {
        instance.pools.publish(pool, transition, &instance.meter);
    }
}

fn request(pool: &Pool, way: Way) -> Option<OutboundRequest> {
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
