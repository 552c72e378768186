//! The path of a model call.

mod admit;
mod complete;
mod exchange;
mod headers;
mod identify;
mod probe;
mod read;
mod record;
mod replies;
mod routing;
mod stateful;
mod stream;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use spillway_config::OnError;
use spillway_identity::Directory;
use spillway_llm::{Call, CallProgress, ModelCatalogue, Operation, Route};
use spillway_platform::Platform;
use spillway_surface::{LocalReply, Surface};
use spillway_telemetry::ApiKind;
use spillway_upstream::{Budget, Pool, PoolWatch, Transition};

use self::admit::{admit_body, admit_head, estimate, fit_window};
use self::exchange::{CallEntry, ModelExchange};
use self::identify::identify;
use self::read::{CallBody, read};
pub(crate) use self::record::CallRecord;
use self::routing::route;
use crate::limits::ApiLimits;
use crate::pools::PoolStates;
use crate::runtime::configuration;
use crate::state_access::StateBudget;
use crate::{Runtime, Settlement, misconfigured};

/// What an instance knows that serves model APIs.
pub type ModelRuntime<P> = Runtime<P, Models<P>>;

/// The model APIs, and what is known of their providers.
pub struct Models<P: Platform> {
    catalogue: ModelCatalogue,
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
    async fn refresh(self: &Arc<Self>, budget: &StateBudget, route: &Route) {
        let pools = route.targets.iter().map(|target| &target.pool);
        self.apis.pools.refresh(budget, pools).await;
        for target in &route.targets {
            self.probe(&target.pool);
        }
    }

    /// Probes a credential or an endpoint of the provider's, if one's time has come.
    fn probe(self: &Arc<Self>, pool: &Arc<Pool>) {
        let seconds = self.platform.since_1970().as_secs();
        if let Some((pick, kind)) = pool.begin_probe(self.platform.now(), seconds) {
            let probing = probe::probe(Arc::clone(self), Arc::clone(pool), pick, kind);
            self.platform.spawn(probing);
        }
    }
}

/// Tells all instances what one has found out.
struct Reporter<P: Platform>(Arc<ModelRuntime<P>>);

impl<P: Platform> PoolWatch for Reporter<P> {
    fn changed(&self, pool: &Arc<Pool>, transition: Transition) {
        self.0.apis.pools.publish(pool, transition);
    }

    fn suspects(&self, pool: &Arc<Pool>) {
        self.0.probe(pool);
    }
}

/// A call of this request.
fn call_of<'a, P: Platform>(
    exchange: &'a ModelExchange<P>,
    entry: &'a CallEntry,
    reporter: &'a Reporter<P>,
    route: &'a Route,
    model: &'a str,
    progress: &'a CallProgress,
) -> Call<'a, P, P, Reporter<P>> {
    let runtime = &exchange.runtime;
    Call {
        sender: &runtime.platform,
        clock: &runtime.platform,
        watch: reporter,
        budget: &runtime.apis.budget,
        route,
        operation: entry.operation,
        surface: exchange.surface,
        model,
        // All callers without a credential are one.
        consumer: exchange.consumer().unwrap_or_default(),
        headers: &entry.headers,
        forwardable: &entry.forwardable,
        arrived: exchange.settlement.arrived,
        number: exchange.number.unwrap_or_else(|| runtime.next_call()),
        skips_first: exchange.skips_first,
        input: exchange.input,
        in_hand: Arc::clone(&runtime.answers_in_hand),
        progress,
    }
}

/// Reads the configuration.
///
/// # Errors
/// What is wrong, for the operator.
pub async fn start<P: Platform>(platform: P) -> Result<ModelRuntime<P>, String> {
    let gateway = configuration(&platform).await?;
    let catalogue = ModelCatalogue::new(&gateway).map_err(|error| error.to_string())?;
    // Not all instances begin with a provider's first key.
    let calls = AtomicU32::new(platform.random_number());
    let limits = gateway.models.iter().map(ApiLimits::of_models);
    Runtime::new(platform, &gateway, "model", limits, |ground| Models {
        catalogue,
        consumers: Directory::new(&gateway.consumers),
        pools: Arc::new(PoolStates::new(ground)),
        on_error: gateway.state.on_error,
        budget: Budget::default(),
        calls,
    })
}

/// Answers a request.
///
/// # Errors
/// The platform's, where there can be no answer.
pub async fn handle<P: Platform>(
    runtime: &Arc<ModelRuntime<P>>,
    request: P::Request,
) -> Result<P::Response, P::Error> {
    let head = runtime.platform.head(&request);
    let (settlement, _) = Settlement::begin(runtime, ApiKind::Model, &head);
    let mut exchange = ModelExchange {
        runtime: Arc::clone(runtime),
        settlement,
        head,
        surface: Surface::OpenAi,
        quota: Vec::new(),
        skips_first: false,
        number: None,
        input: None,
    };
    let Ready {
        entry,
        route,
        outgoing,
    } = match prepare(&mut exchange, request).await {
        Ok(ready) => ready,
        Err(reply) => return exchange.reply(reply).await,
    };
    match outgoing {
        CallBody::Read(request) if entry.operation != Operation::Stateful => {
            if request.stream {
                stream::serve(exchange, entry, route, *request).await
            } else {
                complete::serve(exchange, &entry, &route, &request).await
            }
        }
        outgoing => stateful::serve(exchange, &entry, &route, outgoing).await,
    }
}

/// A call that has passed every phase before its first attempt.
struct Ready<P: Platform> {
    entry: CallEntry,
    route: Arc<Route>,
    outgoing: CallBody<P::Request>,
}

/// The phases, each of which may reply in the gateway's own name.
async fn prepare<P: Platform>(
    exchange: &mut ModelExchange<P>,
    request: P::Request,
) -> Result<Ready<P>, LocalReply> {
    let entry = identify(exchange).await?;
    if entry.operation == Operation::Models {
        let id = entry.id.as_deref();
        return Err(replies::list_models(&entry.api, exchange.consumer(), id));
    }
    let passage = admit_head(exchange, &entry).await?;
    let mut outgoing = read(exchange, &entry, request).await?;
    let route = route(exchange, &entry, &outgoing)?;
    if let CallBody::Read(request) = &mut outgoing {
        request.apply(&route.parameters, entry.operation);
    }
    estimate(exchange, &entry, &route, &outgoing).await;
    let passage = fit_window(exchange, &entry, passage, &route, &outgoing)?;
    admit_body(exchange, &entry, passage, &route, &outgoing).await?;
    let budget = &exchange.settlement.state_budget;
    exchange.runtime.refresh(budget, &route).await;
    Ok(Ready {
        entry,
        route,
        outgoing,
    })
}

/// Answers while nothing can be served, for this reason.
///
/// # Errors
/// As [`handle`].
pub async fn misconfigured<P: Platform>(
    platform: &P,
    problem: &str,
    request: P::Request,
) -> Result<P::Response, P::Error> {
    let reply = LocalReply::misconfigured();
    misconfigured::answer(
        platform,
        request,
        problem,
        ApiKind::Model,
        Surface::OpenAi,
        reply,
    )
    .await
}
