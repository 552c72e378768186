//! The component `model`: model calls out. Wiring only; what is decided, `spillway-llm` decides.
#![cfg(target_arch = "wasm32")]

mod admission;
mod answers;
mod body;
mod complete;
mod handler;
mod probe;
mod record;
mod stateful;
mod stream;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use futures_util::future::join_all;
use spillway_forward::PeerTrust;
use spillway_gateway::{Limits, Meter, PoolStates, ReplayGuard, Totals, read_settings};
use spillway_identity::Directory;
use spillway_llm::{Call, Catalogue, ModelRequest, PoolWatch, Route};
use spillway_platform::Clock;
use spillway_platform_spin::{self as spin, ErrorCode, Request, Response, SpinClock, SpinSender};
use spillway_upstream::{Budget, Pool, Transition};
use spin_sdk::wasip3::exports::http::handler::Guest;

use handler::Received;

/// What this instance knows.
struct Instance {
    catalogue: Catalogue,
    consumers: Directory,
    trust: PeerTrust,
    limits: Limits,
    pools: PoolStates,
    replays: ReplayGuard,
    budget: Budget,
    meter: Meter,
    calls: AtomicU32,
}

impl Instance {
    fn next_call(&self) -> u32 {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }

    /// Looks up what other instances know of the providers of a route, all at once.
    async fn refresh(&'static self, route: &'static Route) {
        let pools = route.targets.iter().map(|target| &*target.pool);
        join_all(pools.map(|pool| self.pools.refresh(pool))).await;
        for target in &route.targets {
            self.probe(&target.pool);
        }
    }
}

impl Instance {
    /// Probes a key or an endpoint of the provider's, if one's time has come.
    fn probe(&'static self, pool: &Arc<Pool>) {
        let seconds = SpinClock.since_1970().as_secs();
        if let Some((way, kind)) = pool.take_probe(SpinClock.now(), seconds) {
            spin::spawn(probe::probe(self, Arc::clone(pool), way, kind));
        }
    }
}

/// Tells all instances what one has found out.
struct Watch(&'static Instance);

impl PoolWatch for Watch {
    fn changed(&self, pool: &Arc<Pool>, transition: Transition) {
        let Self(instance) = self;
        instance
            .pools
            .publish(Arc::clone(pool), transition, &instance.meter);
    }

    fn suspects(&self, pool: &Arc<Pool>) {
        let Self(instance) = self;
        instance.probe(pool);
    }
}

/// A call of a request that was received.
fn call_of<'a>(
    instance: &'static Instance,
    watch: &'a Watch,
    route: &'a Route,
    request: &'a ModelRequest,
    received: &'a Received,
) -> Call<'a, SpinSender, SpinClock, Watch> {
    Call {
        sender: &SpinSender,
        clock: &SpinClock,
        watch,
        budget: &instance.budget,
        route,
        operation: received.operation,
        request,
        consumer: received.whose(),
        headers: &received.headers,
        forwardable: &received.forwardable,
        arrived: received.arrival.at,
        number: instance.next_call(),
        skips_first: received.skips_first,
        in_hand: &spin::ANSWERS_IN_HAND,
    }
}

static INSTANCE: OnceLock<Instance> = OnceLock::new();

struct Component;

// Not `#[http_service]`, which would copy every header into a map, and fail on those it cannot parse.
spin_sdk::wasip3::http::service::export!(Component);

impl Guest for Component {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        match instance().await {
            Ok(instance) => handler::handle(instance, request).await,
            Err(message) => answers::misconfigured(&message).await,
        }
    }
}

async fn instance() -> Result<&'static Instance, String> {
    if let Some(instance) = INSTANCE.get() {
        return Ok(instance);
    }
    let gateway = read_settings().await.map_err(|error| error.to_string())?;
    let catalogue = Catalogue::new(&gateway).map_err(|error| error.to_string())?;
    let consumers = Directory::new(&gateway.consumers);
    let rules = gateway
        .models
        .iter()
        .map(|api| (api.name.as_str(), api.policies.rate_limits.as_slice()));
    let limits = Limits::new(&gateway, "model", rules)?;
    let redis = limits.redis();
    let replays = ReplayGuard::new(redis.clone(), gateway.state.on_error);
    let trust = PeerTrust::new(&gateway.trusted_proxies);
    let meter = Meter::new(Totals::new(&gateway.state.redis));
    // Not all instances begin with a provider's first key.
    let calls = AtomicU32::new(spin::random_number());
    Ok(INSTANCE.get_or_init(|| Instance {
        catalogue,
        consumers,
        trust,
        limits,
        pools: PoolStates::new(redis),
        replays,
        budget: Budget::default(),
        meter,
        calls,
    }))
}
