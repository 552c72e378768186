//! The gateway: instances of its components, begun and served as the components' own `lib.rs` does it.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use spillway_gateway::console::{self, Console};
use spillway_gateway::{agent, knowledge, model};
use spillway_platform_sim::{Sim, SimInstance, SimRequest, SimResponse, Unanswered};

use crate::plan::Kind;

/// The instances of one world. A copy is the same.
#[derive(Clone)]
pub struct Fleet {
    sim: Sim,
    instances: Rc<RefCell<Vec<Instance>>>,
    of_each_kind: usize,
}

/// One of them.
#[derive(Clone)]
struct Instance {
    sim: SimInstance,
    started: Started,
}

/// What an instance keeps between requests, once it has started: what `static RUNTIME` is in a component.
#[derive(Clone)]
enum Started {
    Agent(Once<agent::AgentRuntime<Sim>>),
    Model(Once<model::ModelRuntime<Sim>>),
    Knowledge(Once<knowledge::KnowledgeRuntime<Sim>>),
    Console(Once<Console<Sim>>),
}

type Once<T> = Rc<RefCell<Option<Arc<T>>>>;

const KINDS: [Kind; 4] = [Kind::Agent, Kind::Model, Kind::Knowledge, Kind::Console];

/// Which instance a number stands for, where there are so many of each component.
pub fn place_of(number: usize, of_each_kind: usize) -> Option<(Kind, usize)> {
    let all = KINDS.len().checked_mul(of_each_kind)?;
    let index = number.checked_rem(all)?;
    let kind = KINDS.get(index.checked_div(of_each_kind)?)?;
    Some((*kind, index.checked_rem(of_each_kind)?))
}

impl Fleet {
    /// So many instances of each component.
    pub fn new(sim: &Sim, of_each_kind: usize) -> Self {
        let fleet = Self {
            sim: sim.clone(),
            instances: Rc::default(),
            of_each_kind,
        };
        fleet.renew();
        fleet
    }

    /// New instances in the place of all; the old ones see their requests through.
    pub fn renew(&self) {
        let kinds = KINDS.iter().flat_map(|kind| vec![*kind; self.of_each_kind]);
        let instances = kinds.map(|kind| Instance::new(&self.sim, kind));
        self.instances.replace(instances.collect());
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.instances.borrow().len()
    }

    /// One dies, and another takes its place.
    pub fn kill(&self, number: usize) {
        let mut instances = self.instances.borrow_mut();
        let index = of(number, instances.len());
        if let Some(instance) = instances.get_mut(index) {
            instance.sim.die();
            *instance = Instance::new(&self.sim, instance.started.kind());
        }
    }

    /// The runtime gives up one of an instance's requests.
    pub fn cancel(&self, number: usize) {
        let instances = self.instances.borrow();
        if let Some(instance) = instances.get(of(number, instances.len())) {
            instance.sim.cancel_one();
        }
    }

    /// Serves a request by one of the instances of this kind.
    pub fn serve(
        &self,
        kind: Kind,
        number: usize,
        request: SimRequest,
    ) -> impl Future<Output = Result<SimResponse, Unanswered>> + 'static {
        let instances = self.instances.borrow();
        let mut of_kind = instances.iter().filter(|one| one.started.kind() == kind);
        let chosen = of(number, self.of_each_kind);
        let instance = of_kind.nth(chosen).cloned();
        async move {
            match instance {
                Some(instance) => instance.serve(request).await,
                None => Err(Unanswered::Lost),
            }
        }
    }
}

impl Instance {
    fn new(sim: &Sim, kind: Kind) -> Self {
        Self {
            sim: sim.instance(),
            started: match kind {
                Kind::Agent => Started::Agent(Rc::default()),
                Kind::Model => Started::Model(Rc::default()),
                Kind::Knowledge => Started::Knowledge(Rc::default()),
                Kind::Console => Started::Console(Rc::default()),
            },
        }
    }

    async fn serve(&self, request: SimRequest) -> Result<SimResponse, Unanswered> {
        let platform = self.sim.platform();
        match self.started.clone() {
            Started::Agent(once) => {
                let serving = async move {
                    match started(&once, agent::start(platform.clone())).await {
                        Ok(runtime) => agent::handle(&runtime, request).await,
                        Err(problem) => agent::misconfigured(&platform, &problem, request).await,
                    }
                };
                self.sim.call(serving).await
            }
            Started::Model(once) => {
                let serving = async move {
                    match started(&once, model::start(platform.clone())).await {
                        Ok(runtime) => model::handle(&runtime, request).await,
                        Err(problem) => model::misconfigured(&platform, &problem, request).await,
                    }
                };
                self.sim.call(serving).await
            }
            Started::Console(once) => {
                let serving = async move {
                    let console = started(&once, Console::start(platform.clone())).await;
                    let usable = console.as_deref().map_err(String::as_str);
                    console::handle(&platform, usable, request).await
                };
                self.sim.call(serving).await
            }
            Started::Knowledge(once) => {
                let serving = async move {
                    match started(&once, knowledge::start(platform.clone())).await {
                        Ok(runtime) => knowledge::handle(&runtime, request).await,
                        Err(problem) => {
                            knowledge::misconfigured(&platform, &problem, request).await
                        }
                    }
                };
                self.sim.call(serving).await
            }
        }
    }
}

impl Started {
    const fn kind(&self) -> Kind {
        match self {
            Self::Agent(_) => Kind::Agent,
            Self::Model(_) => Kind::Model,
            Self::Knowledge(_) => Kind::Knowledge,
            Self::Console(_) => Kind::Console,
        }
    }
}

/// A number as an index of so many.
fn of(number: usize, count: usize) -> usize {
    number.checked_rem(count).unwrap_or_default()
}

async fn started<T>(
    once: &Once<T>,
    start: impl Future<Output = Result<T, String>>,
) -> Result<Arc<T>, String> {
    if let Some(runtime) = &*once.borrow() {
        return Ok(Arc::clone(runtime));
    }
    let runtime = Arc::new(start.await?);
    Ok(Arc::clone(once.borrow_mut().get_or_insert(runtime)))
}
