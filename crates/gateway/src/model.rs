//! The path of a model call: find the API, identify the consumer, read the body, find the route, count, call.

mod admission;
mod body;
mod complete;
mod handler;
mod probe;
mod record;
mod replies;
mod stateful;
mod stream;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join_all;
use spillway_config::OnError;
use spillway_identity::Directory;
use spillway_llm::{Call, Catalogue, Route};
use spillway_platform::Platform;
use spillway_surface::{LocalReply, Surface};
use spillway_upstream::{Budget, Pool, PoolWatch, Transition};

use crate::pools::PoolStates;
use crate::runtime::configuration;
use crate::{Log, Runtime};
use handler::Received;

pub use handler::handle;

/// What an instance knows that serves model APIs.
pub type ModelRuntime<P> = Runtime<P, Models<P>>;

/// The model APIs, and what is known of their providers.
pub struct Models<P: Platform> {
    catalogue: Catalogue,
    consumers: Directory,
    pools: Arc<PoolStates<P>>,
    /// What happens to signed requests while nobody can tell whether they are repeated.
    on_error: OnError,
    budget: Budget,
    calls: AtomicU32,
}

impl<P: Platform> ModelRuntime<P> {
    fn next_call(&self) -> u32 {
        self.apis.calls.fetch_add(1, Ordering::Relaxed)
    }

    /// Looks up what other instances know of the providers of a route, all at once.
    async fn refresh(self: &Arc<Self>, route: &Route) {
        let pools = route.targets.iter().map(|target| &target.pool);
        join_all(pools.map(|pool| self.apis.pools.refresh(pool))).await;
        for target in &route.targets {
            self.probe(&target.pool);
        }
    }

    /// Probes a credential or an endpoint of the provider's, if one's time has come.
    fn probe(self: &Arc<Self>, pool: &Arc<Pool>) {
        let seconds = self.platform.since_1970().as_secs();
        if let Some((pick, kind)) = pool.take_probe(self.platform.now(), seconds) {
            let probing = probe::probe(Arc::clone(self), Arc::clone(pool), pick, kind);
            self.platform.spawn(probing);
        }
    }
}

/// Tells all instances what one has found out.
struct Watch<P: Platform>(Arc<ModelRuntime<P>>);

impl<P: Platform> PoolWatch for Watch<P> {
    fn changed(&self, pool: &Arc<Pool>, transition: Transition) {
        self.0.apis.pools.publish(pool, transition);
    }

    fn suspects(&self, pool: &Arc<Pool>) {
        self.0.probe(pool);
    }
}

/// A call of a request that was received.
fn call_of<'a, P: Platform>(
    runtime: &'a ModelRuntime<P>,
    watch: &'a Watch<P>,
    route: &'a Route,
    model: &'a str,
    received: &'a Received,
) -> Call<'a, P, P, Watch<P>> {
    Call {
        sender: &runtime.platform,
        clock: &runtime.platform,
        watch,
        budget: &runtime.apis.budget,
        route,
        operation: received.operation,
        model,
        consumer: received.whose(),
        headers: &received.headers,
        forwardable: &received.forwardable,
        arrived: received.arrived,
        number: runtime.next_call(),
        skips_first: received.skips_first,
        in_hand: Arc::clone(&runtime.answers_in_hand),
    }
}

/// Reads the configuration.
///
/// # Errors
/// What is wrong, for the operator.
pub async fn start<P: Platform>(platform: P) -> Result<ModelRuntime<P>, String> {
    let gateway = configuration(&platform).await?;
    let catalogue = Catalogue::new(&gateway).map_err(|error| error.to_string())?;
    // Not all instances begin with a provider's first key.
    let calls = AtomicU32::new(platform.random_number());
    let rate_limits = gateway
        .models
        .iter()
        .map(|api| (api.name.as_str(), api.policies.rate_limits.as_slice()));
    Runtime::new(platform, &gateway, "model", rate_limits, |ground| Models {
        catalogue,
        consumers: Directory::new(&gateway.consumers),
        pools: Arc::new(PoolStates::new(ground)),
        on_error: gateway.state.on_error,
        budget: Budget::default(),
        calls,
    })
}

/// Nothing can be served: the operator must act, so the operator is told.
///
/// # Errors
/// As [`handle`].
pub async fn misconfigured<P: Platform>(
    platform: &P,
    problem: &str,
) -> Result<P::Response, P::Error> {
    Log::new(platform.clone(), &spillway_config::Log::default()).error(problem);
    let rendered = Surface::OpenAi.render(LocalReply::misconfigured());
    platform
        .respond(rendered.status, rendered.headers, rendered.body)
        .await
}
