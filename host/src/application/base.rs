//! What all versions of an application stand on, for as long as the process lives: compiled components, the places for
//! their instances, connections to upstreams and of clients.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use ipnet::IpNet;
use wasmtime_wasi_http::p3::bindings::ServicePre;

use crate::capacity::{Clients, MemoryBudget, Slots, UploadRate};
use crate::engine::ComponentEngine;
use crate::instance::{InstancePool, InstanceState};
use crate::key_value::Stores;
use crate::manifest::Manifest;
use crate::outbound::HttpClients;
use crate::peers::Peers;
use crate::redis::RedisLimit;
use crate::refusals::Refusals;
use crate::reload::Reloads;
use crate::reuse::ReuseLimits;
use crate::runtime_config::RuntimeConfig;
use crate::upgrade::Joins;

/// What is needed beside the manifest.
#[derive(Debug)]
pub struct ApplicationSettings {
    /// Where files that outlive a run are kept.
    pub state_dir: PathBuf,
    /// Where compiled components are kept.
    pub cache_dir: PathBuf,
    /// Key-value stores and limits.
    pub runtime_config: RuntimeConfig,
    /// Limits of instances.
    pub reuse: ReuseLimits,
    /// How many connections one client address may hold; `None`: any number.
    pub max_connections_per_client: Option<usize>,
    /// The slowest that a request's body may come; `None`: as slowly as it likes.
    pub upload_rate: Option<UploadRate>,
    /// How much memory all instances may hold, in bytes.
    pub memory_budget: u64,
    /// Proxies that speak for many clients.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether what components write to stdout and stderr is thrown away.
    pub quiet: bool,
    /// See [`crate::harsh`].
    pub harsh: bool,
}

/// What all versions share.
pub struct Base {
    /// The components' instances, and the places for them.
    pub pool: Arc<InstancePool>,
    /// Clients' connections.
    pub clients: Arc<Clients>,
    /// The slowest that a request's body may come.
    pub upload_rate: Option<UploadRate>,
    /// What an operator is told of requests that were refused.
    pub notices: Refusals,
    /// WebSockets.
    pub joins: Arc<Joins>,
    /// The components of the version that is in force, for each other.
    pub peers: Arc<Peers>,
    /// What became of new versions.
    pub reloads: Arc<Reloads>,
    /// See [`crate::harsh`].
    pub harsh: bool,
    /// How many components had to be compiled.
    pub compiled: usize,
    /// How many there are.
    pub components: usize,
    pub(super) state_dir: PathBuf,
    pub(super) stores: Stores,
    pub(super) http: Arc<HttpClients>,
    pub(super) redis: RedisLimit,
    pub(super) reuse: ReuseLimits,
    pub(super) quiet: bool,
    services: BTreeMap<String, ServicePre<InstanceState>>,
}

impl Base {
    /// Compiles and links what the manifest names.
    ///
    /// # Errors
    /// When anything is missing or cannot be used; the message names it.
    pub fn new(manifest: &Manifest, settings: ApplicationSettings) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&settings.state_dir)
            .with_context(|| format!("--state-dir {}", settings.state_dir.display()))?;
        let engine = ComponentEngine::new(&settings.cache_dir)?;
        let config = &settings.runtime_config;
        let stores = Stores::open(&config.key_value_stores)?;
        let mut services = BTreeMap::new();
        for (id, definition) in &manifest.components {
            let service = engine
                .load(&definition.source)
                .with_context(|| format!("component `{id}`"))?;
            services.insert(id.clone(), service);
        }
        Ok(Self {
            pool: Arc::new(InstancePool {
                population: Arc::default(),
                slots: Arc::new(Slots::new(
                    engine.capacity,
                    engine.limit,
                    manifest.components.len(),
                )),
                memory: Arc::new(MemoryBudget::new(settings.memory_budget)),
            }),
            clients: Arc::new(Clients::new(
                settings.max_connections_per_client,
                settings.trusted_proxies,
            )),
            upload_rate: settings.upload_rate,
            notices: Refusals::default(),
            joins: Arc::default(),
            peers: Arc::default(),
            reloads: Arc::default(),
            harsh: settings.harsh,
            compiled: engine.compiled(),
            components: manifest.components.len(),
            state_dir: settings.state_dir,
            stores,
            http: Arc::new(HttpClients::new(
                config.http_connection_pooling,
                config.http_max_connections,
                settings.harsh,
            )),
            redis: RedisLimit::new(config.redis_max_connections),
            reuse: settings.reuse,
            quiet: settings.quiet,
            services,
        })
    }

    pub(super) fn service(&self, component: &str) -> Option<ServicePre<InstanceState>> {
        self.services.get(component).cloned()
    }
}
