//! The WebAssembly engine: memory for many instances, and compiled components kept on disk.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use wasmtime::component::{Component, Linker};
use wasmtime::{
    Cache, CacheConfig, Config, Engine, EngineWeak, InstanceAllocationStrategy,
    PoolingAllocationConfig,
};
use wasmtime_wasi_http::p3::bindings::ServicePre;

use crate::bindings;
use crate::instance::{HasInstance, InstanceState};
use crate::log_lines::warn;

const MB: usize = 1 << 20;
const GB: usize = 1 << 30;

/// As on Spin.
const DEFAULT_INSTANCES: u32 = 1_000;

/// Compiles components and links them with what the host serves.
pub struct ComponentEngine {
    /// How many instances a version may have at once.
    pub capacity: usize,
    /// How many there may be altogether, those of former versions among them.
    pub limit: usize,
    engine: Engine,
    linker: Linker<InstanceState>,
    cache: Cache,
}

impl ComponentEngine {
    /// Keeps compiled components in `cache_folder`.
    ///
    /// # Errors
    /// When the folder cannot be used, an environment variable holds no number, or the machine cannot
    /// run WebAssembly.
    pub fn new(cache_folder: &Path) -> anyhow::Result<Self> {
        let cache_folder = std::path::absolute(cache_folder)
            .with_context(|| format!("folder {}", cache_folder.display()))?;
        let mut cache_config = CacheConfig::new();
        cache_config.with_directory(&cache_folder);
        let cache = Cache::new(cache_config).map_err(|error| {
            named(
                error,
                format!("compiled components in {}", cache_folder.display()),
            )
        })?;
        let capacity = variable("SPIN_MAX_INSTANCE_COUNT", DEFAULT_INSTANCES)?;
        let limit: u32 = variable("SPIN_WASMTIME_INSTANCE_COUNT", capacity.saturating_mul(2))?;
        let capacity = variable("SPIN_WASMTIME_INSTANCE_COUNT", capacity)?;
        let engine = make_engine(&cache, limit)?;
        let linker = make_linker(&engine)?;
        tick(engine.weak())?;
        Ok(Self {
            capacity: capacity.try_into().unwrap_or(usize::MAX),
            limit: limit.try_into().unwrap_or(usize::MAX),
            engine,
            linker,
            cache,
        })
    }

    /// Compiles a component, or takes it from the cache, and links it.
    ///
    /// # Errors
    /// When the file is no component, imports what this host does not serve, or exports no HTTP
    /// handler of WASI 0.3.
    pub fn load(&self, path: &Path) -> anyhow::Result<ServicePre<InstanceState>> {
        let bytes = std::fs::read(path)
            .with_context(|| format!("{} cannot be read: build it first", path.display()))?;
        let component = Component::new(&self.engine, &bytes).map_err(|error| {
            named(
                error,
                format!("{} is no WebAssembly component", path.display()),
            )
        })?;
        let linked = self.linker.instantiate_pre(&component).map_err(|error| {
            named(
                error,
                format!("{} imports what this host does not serve", path.display()),
            )
        })?;
        ServicePre::new(linked).map_err(|error| {
            let path = path.display();
            named(
                error,
                format!("{path} exports no wasi:http/handler@0.3.0 (spin-sdk 7 does)"),
            )
        })
    }

    /// How many components had to be compiled.
    pub fn compiled(&self) -> usize {
        self.cache.cache_misses()
    }
}

/// How long guest code may keep a thread at a time. Then it yields, and goes on when others have had their turn.
const TICK: Duration = Duration::from_millis(10);

/// Counts time for guests, as long as the engine lives.
fn tick(engine: EngineWeak) -> anyhow::Result<()> {
    std::thread::Builder::new()
        .name("epochs".to_owned())
        .spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                std::thread::sleep(TICK);
            }
        })
        .context("cannot start a thread")?;
    Ok(())
}

/// wasmtime's errors are not the standard library's, so `context` does not take them.
fn named(error: wasmtime::Error, what: String) -> anyhow::Error {
    anyhow::Error::from(error).context(what)
}

/// With a pool of memory if the machine has the address space, as instances then come much cheaper.
fn make_engine(cache: &Cache, instances: u32) -> anyhow::Result<Engine> {
    let mut config = Config::new();
    config
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        .cache(Some(cache.clone()));
    let wanted = match std::env::var("SPIN_WASMTIME_POOLING").as_deref() {
        Ok("0") => Pool::Never,
        Ok("1") => Pool::Always,
        _ => Pool::IfPossible,
    };
    if wanted != Pool::Never {
        let pool = InstanceAllocationStrategy::Pooling(pool(instances)?);
        match Engine::new(config.clone().allocation_strategy(pool)) {
            Ok(engine) => return Ok(engine),
            Err(error) if wanted == Pool::Always => return Err(error.into()),
            Err(error) => warn(&format!(
                "no memory pool for instances, each gets memory of its own, which is slower: {error:#}"
            )),
        }
    }
    Ok(Engine::new(&config)?)
}

#[derive(PartialEq, Eq)]
enum Pool {
    Never,
    IfPossible,
    Always,
}

/// Spin's sizes, and Spin's names for changing them.
fn pool(instances: u32) -> anyhow::Result<PoolingAllocationConfig> {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(variable("SPIN_WASMTIME_INSTANCE_COUNT", instances)?)
        .total_memories(variable("SPIN_WASMTIME_TOTAL_MEMORIES", instances)?)
        .total_tables(variable(
            "SPIN_WASMTIME_TOTAL_TABLES",
            instances.saturating_mul(2),
        )?)
        // A stack serves a guest's task, of which an instance has many: with Spin's one an instance, instances die when
        // more requests than that are in flight.
        .total_stacks(variable(
            "SPIN_WASMTIME_TOTAL_STACKS",
            instances.saturating_mul(4),
        )?)
        .total_core_instances(variable(
            "SPIN_WASMTIME_TOTAL_CORE_INSTANCES",
            instances.saturating_mul(4),
        )?)
        .table_elements(variable("SPIN_WASMTIME_INSTANCE_TABLE_ELEMENTS", 100_000)?)
        .max_component_instance_size(variable("SPIN_WASMTIME_INSTANCE_SIZE", 10 * MB)?)
        .max_core_instance_size(variable("SPIN_WASMTIME_CORE_INSTANCE_SIZE", 10 * MB)?)
        .max_core_instances_per_component(variable("SPIN_WASMTIME_CORE_INSTANCE_COUNT", 200)?)
        .max_tables_per_component(variable("SPIN_WASMTIME_INSTANCE_TABLES", 64)?)
        .max_memories_per_component(variable("SPIN_WASMTIME_INSTANCE_MEMORIES", 32)?)
        .max_tables_per_module(variable("SPIN_WASMTIME_MAX_TABLES_PER_MODULE", 2)?)
        .max_memories_per_module(variable("SPIN_WASMTIME_MAX_MEMORIES_PER_MODULE", 2)?)
        .max_memory_size(4 * GB)
        .linear_memory_keep_resident(variable(
            "SPIN_WASMTIME_LINEAR_MEMORY_KEEP_RESIDENT",
            2 * MB,
        )?)
        .table_keep_resident(variable("SPIN_WASMTIME_TABLE_KEEP_RESIDENT", MB / 2)?);
    Ok(pool)
}

fn variable<T: FromStr>(name: &str, default: T) -> anyhow::Result<T> {
    match std::env::var(name) {
        Err(_) => Ok(default),
        Ok(text) => text
            .parse()
            .map_err(|_| anyhow::anyhow!("environment variable {name}: `{text}` is no number")),
    }
}

fn make_linker(engine: &Engine) -> anyhow::Result<Linker<InstanceState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    let state: fn(&mut InstanceState) -> &mut InstanceState = |state| state;
    bindings::spin::redis::redis::add_to_linker::<_, HasInstance>(&mut linker, state)?;
    bindings::spin::key_value::key_value::add_to_linker::<_, HasInstance>(&mut linker, state)?;
    bindings::spin::variables::variables::add_to_linker::<_, HasInstance>(&mut linker, state)?;
    bindings::wasi::keyvalue::store::add_to_linker::<_, HasInstance>(&mut linker, state)?;
    bindings::wasi::keyvalue::atomics::add_to_linker::<_, HasInstance>(&mut linker, state)?;
    Ok(linker)
}
