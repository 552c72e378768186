//! Whether a provider takes a key, and whether anybody is there: asked by its list of models, which costs nothing,
//! never by a chat, and without anything that a client wrote.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use spillway_llm::{Dialect, tells_of_a_dead_key, tells_of_missing_rights, unpacked_error};
use spillway_platform::{
    Headers, InboundResponse, IncomingBody, OutboundRequest, Platform, Timeouts,
};
use spillway_upstream::{Failure, Pick, Pool, ProbeKind, Probed};

use super::ModelRuntime;

/// So much of an error is read.
const MAX_WORDS_BYTES: usize = 16 * 1024;

/// No caller waits for this.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_secs(10),
    between_bytes: Duration::from_secs(10),
};

/// Sends a probe, for a key that is out if no other instance does, and takes over what comes of it.
pub(super) async fn probe<P: Platform>(
    runtime: Arc<ModelRuntime<P>>,
    pool: Arc<Pool>,
    pick: Pick,
    kind: ProbeKind,
) {
    let platform = &runtime.platform;
    if kind == ProbeKind::Out {
        let Some(digest) = pool.key(pick).map(|key| key.digest.clone()) else {
            return;
        };
        if !runtime.apis.pools.claims_probe(&pool, &digest).await {
            return;
        }
    }
    let Some(dialect) = runtime.apis.catalogue.dialect(pool.provider()) else {
        return;
    };
    let Some(request) = request(dialect, &pool, pick) else {
        return;
    };
    let found = match platform.send(request).await {
        Ok(response) => found_in(response).await,
        Err(error) => Probed::of_failure(Failure::from(&error)),
    };
    for transition in pool.probed(platform.now(), pick, kind, found) {
        runtime.apis.pools.publish(&pool, transition);
    }
}

/// What an answer tells. Some vendors say of a dead key with 400 that it is none, and of a key that may not see the list
/// with 401 what it lacks.
async fn found_in<B: IncomingBody>(mut response: InboundResponse<B>) -> Probed {
    let status = response.status.as_u16();
    if !matches!(status, 400 | 401 | 422) {
        return Probed::of_status(status);
    }
    let mut words = BytesMut::new();
    while words.len() < MAX_WORDS_BYTES
        && let Ok(Some(piece)) = response.body.next().await
    {
        words.extend_from_slice(&piece);
    }
    let words = unpacked_error(&response.headers, words.freeze(), MAX_WORDS_BYTES);
    if tells_of_missing_rights(&words) {
        Probed::Forbidden
    } else if tells_of_a_dead_key(status, &words) {
        Probed::Refused
    } else {
        Probed::of_status(status)
    }
}

fn request(dialect: Dialect, pool: &Pool, pick: Pick) -> Option<OutboundRequest> {
    let upstream = pool.upstream(pick)?;
    let mut headers = Headers::default();
    let secret = pool.key(pick).map(|key| key.secret.as_str());
    dialect.authorize(secret, &mut headers);
    headers.append("accept", "application/json");
    headers.append("user-agent", "spillway-probe");
    Some(OutboundRequest {
        method: http::Method::GET,
        scheme: upstream.scheme.clone(),
        authority: upstream.authority.clone(),
        path_and_query: dialect.probe(upstream),
        headers,
        body: bytes::Bytes::new(),
        timeouts: TIMEOUTS,
    })
}
