//! Instances of a component: what each holds, when it takes requests, and what becomes of it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;
use wasmtime::component::{GuestTaskId, HasData, ResourceTable};
use wasmtime::{Store, StoreContextMut};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, Proxy, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::p3::bindings::ServicePre;
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::body::InstanceFate;
use crate::capacity::{InstanceMemory, MemoryBudget, Slot, Slots, WakerOf, Wakers};
use crate::component::Component;
use crate::harsh::CoarseClock;
use crate::log_lines::{ComponentOutput, warn_of};
use crate::outbound::OutboundHttp;
use crate::reuse::ReuseLimits;

/// What a store holds for its one instance.
pub struct InstanceState {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound: OutboundHttp,
    /// All resources that the guest holds.
    pub table: ResourceTable,
    /// Redis connections the guest holds.
    pub open_redis_connections: usize,
    /// Key-value stores the guest holds.
    pub open_stores: usize,
    memory: InstanceMemory,
}

/// Gives host functions the instance's state.
pub struct HasInstance;

impl HasData for HasInstance {
    type Data<'a> = &'a mut InstanceState;
}

impl InstanceState {
    fn new(
        component: &Arc<Component>,
        fate: Arc<InstanceFate>,
        memory: InstanceMemory,
    ) -> wasmtime::Result<Self> {
        let output =
            |destination| ComponentOutput::new(Arc::clone(&component.log_prefix), destination);
        let mut wasi = WasiCtxBuilder::new();
        wasi.envs(&component.environment)
            .stdout(output(component.stdout))
            .stderr(output(component.stderr));
        if component.harsh {
            let clock = CoarseClock::default();
            wasi.monotonic_clock(clock).wall_clock(clock);
        }
        if let Some(folder) = component.files.of_component(&component.id) {
            wasi.preopened_dir(folder, "/", FsPerms::ReadOnly)?;
        }
        Ok(Self {
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            outbound: OutboundHttp::new(Arc::clone(component), fate),
            table: ResourceTable::new(),
            open_redis_connections: 0,
            open_stores: 0,
            memory,
        })
    }

    /// The component of which this is an instance.
    pub fn component(&self) -> &Arc<Component> {
        self.outbound.component()
    }

    /// Whether all instances together hold more memory than they should.
    pub fn memory_is_short(&self) -> bool {
        self.memory.is_short()
    }
}

impl WasiView for InstanceState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for InstanceState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.outbound,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

/// Goes with a request to the instance that takes it, which leaves its fate there.
#[derive(Debug, Clone, Default)]
pub struct RequestOrigin {
    fate: Arc<OnceLock<Arc<InstanceFate>>>,
}

impl RequestOrigin {
    /// The fate of the instance that took the request.
    pub fn fate(&self) -> Option<Arc<InstanceFate>> {
        self.fate.get().cloned()
    }
}

/// The instances of all components.
#[derive(Debug, Default)]
pub struct Population {
    busy: AtomicUsize,
    /// Whether the host is about to end, which ends them as well.
    ending: AtomicBool,
}

impl Population {
    /// The number of instances that serve a request, write a body or finish background work.
    pub fn busy(&self) -> usize {
        self.busy.load(Ordering::Relaxed)
    }

    /// From now on the end of an instance is no news.
    pub fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }
}

/// Makes instances of one component.
pub struct ComponentHandler {
    service: ServicePre<InstanceState>,
    component: Arc<Component>,
    limits: ReuseLimits,
    pool: Arc<InstancePool>,
    /// Which component it is, to `slots`.
    number: usize,
    wakers: Arc<Wakers>,
}

/// What the instances of all components share.
#[derive(Debug)]
pub struct InstancePool {
    /// Those that are at work.
    pub population: Arc<Population>,
    /// The places for them.
    pub slots: Arc<Slots>,
    /// The memory for them.
    pub memory: Arc<MemoryBudget>,
}

/// All places for instances of a component are taken.
#[derive(Debug, thiserror::Error)]
#[error("all places for instances are taken")]
pub struct NoSlot;

impl ComponentHandler {
    /// Prepares a compiled and linked component; `number` tells it from others.
    pub fn new(
        service: ServicePre<InstanceState>,
        component: Arc<Component>,
        limits: ReuseLimits,
        pool: Arc<InstancePool>,
        number: usize,
    ) -> Self {
        Self {
            service,
            component,
            limits,
            pool,
            number,
            wakers: Arc::default(),
        }
    }

    /// What its instances share.
    pub fn component(&self) -> &Arc<Component> {
        &self.component
    }

    /// Makes its instances look again whether they take requests.
    pub fn wake(&self) {
        self.wakers.wake();
    }
}

impl HandlerState for ComponentHandler {
    type StoreData = InstanceState;
    type WorkerExpiration = Lifetime;
    type WorkerState = InstanceLimits;

    async fn instantiate(
        &self,
    ) -> wasmtime::Result<Instance<InstanceState, Lifetime, InstanceLimits>> {
        let slot = self.pool.slots.take(self.number).ok_or(NoSlot)?;
        let fate = Arc::new(InstanceFate::default());
        let memory = self.pool.memory.instance();
        let state = InstanceState::new(&self.component, Arc::clone(&fate), memory)?;
        let mut store = Store::new(self.service.engine(), state);
        store.limiter(|state| &mut state.memory);
        // See `engine::tick`.
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        let service = self.service.instantiate_async(&mut store).await?;
        let request_timeout = self.limits.request.map(|spread| spread.draw());
        let retires = Arc::new(AtomicBool::new(false));
        Ok(Instance {
            store,
            proxy: Proxy::P3(service),
            view: InstanceState::http,
            expiration: Lifetime {
                idle: self.limits.idle.draw(),
                request: request_timeout,
                sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
                busy: false,
                retires: Arc::clone(&retires),
                waker: self.wakers.enter(),
                population: Arc::clone(&self.pool.population),
            },
            state: InstanceLimits {
                requests: self.limits.requests.draw(),
                concurrent_requests: self.limits.concurrent_requests.draw(),
                request: request_timeout,
                retires,
                fate,
                component: Arc::clone(&self.component),
                pool: Arc::clone(&self.pool),
                number: self.number,
                _slot: slot,
            },
        })
    }
}

/// When an instance has to go.
pub struct Lifetime {
    idle: Duration,
    request: Option<Duration>,
    sleep: Pin<Box<Sleep>>,
    busy: bool,
    /// It has served its count, and goes once it has nothing more to do.
    retires: Arc<AtomicBool>,
    waker: WakerOf,
    population: Arc<Population>,
}

impl Lifetime {
    fn set_busy(&mut self, busy: bool) {
        if self.busy == busy {
            return;
        }
        self.busy = busy;
        let count = &self.population.busy;
        let _ = if busy {
            count.fetch_add(1, Ordering::Relaxed)
        } else {
            count.fetch_sub(1, Ordering::Relaxed)
        };
    }
}

impl Drop for Lifetime {
    fn drop(&mut self) {
        self.set_busy(false);
    }
}

impl WorkerExpiration for Lifetime {
    fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        status: WorkerStatus,
        since: Instant,
    ) -> Poll<()> {
        let this = self.get_mut();
        this.set_busy(status != WorkerStatus::Idle);
        this.waker.register(cx.waker());
        let limit = match status {
            WorkerStatus::Idle if this.retires.load(Ordering::Relaxed) => return Poll::Ready(()),
            WorkerStatus::Idle => Some(this.idle),
            WorkerStatus::Requests | WorkerStatus::PostReturn => this.request,
        };
        let Some(deadline) = limit.and_then(|limit| since.checked_add(limit)) else {
            return Poll::Pending;
        };
        // The deadline moves with every request: a timer that is due earlier is left to fire and is
        // then set anew, which is cheaper than setting it each time.
        loop {
            if this.sleep.deadline() > deadline.into() {
                this.sleep.as_mut().reset(deadline.into());
            }
            if this.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            this.sleep.as_mut().reset(deadline.into());
        }
    }
}

/// Which requests an instance takes.
pub struct InstanceLimits {
    requests: usize,
    concurrent_requests: usize,
    request: Option<Duration>,
    retires: Arc<AtomicBool>,
    fate: Arc<InstanceFate>,
    component: Arc<Component>,
    pool: Arc<InstancePool>,
    number: usize,
    /// Free again when the store has been dropped.
    _slot: Slot,
}

impl WorkerState for InstanceLimits {
    type StoreData = InstanceState;
    type RequestData = RequestOrigin;

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        // Not `Never`, which could not be taken back: while there is no place for a new instance this one goes on.
        let retires = total >= self.requests && self.pool.slots.has_room(self.number);
        self.retires.store(retires, Ordering::Relaxed);
        if retires || concurrent >= self.concurrent_requests {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        _: StoreContextMut<'_, InstanceState>,
        origin: RequestOrigin,
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        let _ = origin.fate.set(Arc::clone(&self.fate));
        match self.request {
            Some(timeout) => Box::pin(tokio::time::sleep(timeout)),
            None => Box::pin(std::future::pending()),
        }
    }

    fn drop(&self, store: Store<InstanceState>, result: wasmtime::Result<()>) {
        if let Err(error) = result {
            self.fate.mark_dead();
            if !self.pool.population.ending.load(Ordering::Relaxed) {
                let cause = error.root_cause();
                warn_of(
                    &self.component.id,
                    &format!("an instance died, and the requests it served were cut: {cause}"),
                );
            }
        }
        drop(store);
    }
}
