//! An application ready to serve: its components compiled, its routes known.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use ipnet::IpNet;
use wasmtime_wasi_http::handler::ProxyHandler;

use crate::answer::ErrorForm;
use crate::capacity::{Clients, MemoryBudget, Slots, UploadRate};
use crate::component::Component;
use crate::engine::ComponentEngine;
use crate::gateway_config;
use crate::instance::{ComponentHandler, InstancePool};
use crate::key_value::Stores;
use crate::log_lines::{Destination, warn};
use crate::manifest::{ComponentDefinition, Manifest, MountedFiles};
use crate::outbound::{AllowedDestinations, HttpClients};
use crate::peers::Peers;
use crate::redis::RedisLimit;
use crate::refusals::Refusals;
use crate::reuse::ReuseLimits;
use crate::routes::Router;
use crate::runtime_config::RuntimeConfig;
use crate::spin_headers::RouteHeaders;
use crate::upgrade::{self, Joins};
use crate::variables::Variables;

/// Paths that Spin answers by itself.
pub const WELL_KNOWN_PREFIX: &str = "/.well-known/spin/";

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

/// A running application.
pub struct Application {
    /// Its routes.
    pub router: Router<RouteTarget>,
    /// Its components.
    pub peers: Arc<Peers>,
    /// Its instances, and the places for them.
    pub pool: Arc<InstancePool>,
    /// Its clients' connections.
    pub clients: Arc<Clients>,
    /// The slowest that a request's body may come.
    pub upload_rate: Option<UploadRate>,
    /// What an operator is told of requests that were refused.
    pub notices: Refusals,
    /// WebSockets.
    pub joins: Arc<Joins>,
    /// What `/.well-known/spin/info` answers.
    pub info: bytes::Bytes,
    /// See [`crate::harsh`].
    pub harsh: bool,
    /// How many of its components had to be compiled.
    pub compiled: usize,
    /// How many components it has.
    pub components: usize,
    /// The components' files, removed with it.
    _files: MountedFiles,
}

/// What a route leads to.
#[derive(Clone)]
pub struct RouteTarget {
    /// The component's id.
    pub component: String,
    /// One line about it.
    pub description: Option<String>,
    /// Its instances.
    pub handler: ProxyHandler<ComponentHandler>,
    /// Headers that are the same for all its requests.
    pub headers: RouteHeaders,
    /// What the host's own errors look like.
    pub error_form: ErrorForm,
}

impl Application {
    /// Compiles and links everything.
    ///
    /// # Errors
    /// When anything is missing or does not fit together; the message names it.
    pub fn load(
        manifest: &Manifest,
        variables: &Variables,
        settings: &ApplicationSettings,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&settings.state_dir)
            .with_context(|| format!("--state-dir {}", settings.state_dir.display()))?;
        let engine = ComponentEngine::new(&settings.cache_dir)?;
        let generated = variables
            .get(gateway_config::VARIABLE)
            .filter(|text| !text.is_empty())
            .map(|text| (gateway_config::NORMAL_FORM_FILE.to_owned(), text.to_owned()));
        let files = MountedFiles::copy(
            manifest,
            &generated.into_iter().collect(),
            &settings.state_dir,
        )?;
        let config = &settings.runtime_config;
        let shared = Shared {
            stores: Stores::open(&config.key_value_stores)?,
            http: Arc::new(HttpClients::new(
                config.http_connection_pooling,
                config.http_max_connections,
                settings.harsh,
            )),
            redis: RedisLimit::new(config.redis_max_connections),
            peers: Arc::new(Peers::default()),
            pool: Arc::new(InstancePool {
                population: Arc::default(),
                slots: Arc::new(Slots::new(engine.capacity, manifest.components.len())),
                memory: Arc::new(MemoryBudget::new(settings.memory_budget)),
            }),
            joins: Arc::new(Joins::default()),
            files,
            harsh: settings.harsh,
        };
        let ids: Vec<&str> = manifest.components.keys().map(String::as_str).collect();
        let mut handlers = HashMap::new();
        for (number, (id, definition)) in manifest.components.iter().enumerate() {
            let component = shared
                .component(id, definition, variables, &ids, settings.quiet)
                .with_context(|| format!("component `{id}`"))?;
            let service = engine
                .load(&definition.source)
                .with_context(|| format!("component `{id}`"))?;
            let handler = ProxyHandler::new(ComponentHandler::new(
                service,
                Arc::new(component),
                settings.reuse,
                Arc::clone(&shared.pool),
                number,
            ));
            handlers.insert(id.clone(), handler);
        }
        let router = make_router(manifest, &handlers)?;
        shared.peers.introduce(handlers);
        Ok(Self {
            router,
            peers: shared.peers,
            pool: shared.pool,
            clients: Arc::new(Clients::new(
                settings.max_connections_per_client,
                settings.trusted_proxies.clone(),
            )),
            upload_rate: settings.upload_rate,
            notices: Refusals::default(),
            joins: shared.joins,
            info: info(manifest).into(),
            harsh: settings.harsh,
            compiled: engine.compiled(),
            components: manifest.components.len(),
            _files: shared.files,
        })
    }
}

struct Shared {
    stores: Stores,
    http: Arc<HttpClients>,
    redis: RedisLimit,
    peers: Arc<Peers>,
    pool: Arc<InstancePool>,
    joins: Arc<Joins>,
    files: MountedFiles,
    harsh: bool,
}

impl Shared {
    fn component(
        &self,
        id: &str,
        definition: &ComponentDefinition,
        variables: &Variables,
        ids: &[&str],
        quiet: bool,
    ) -> anyhow::Result<Component> {
        let hosts = definition
            .allowed_outbound_hosts
            .iter()
            .map(|template| variables.fill(template))
            .collect::<Result<Vec<_>, _>>()?;
        let output = |destination| {
            if quiet {
                Destination::Discard
            } else {
                destination
            }
        };
        Ok(Component {
            id: id.to_owned(),
            log_prefix: format!("[{id}] ").into(),
            stdout: output(Destination::Stdout),
            stderr: output(Destination::Stderr),
            variables: variables.of_component(&definition.variables)?,
            environment: definition
                .environment
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .filter(|(name, _)| name != upgrade::KEY_VARIABLE)
                .chain([(
                    upgrade::KEY_VARIABLE.to_owned(),
                    self.joins.key().to_owned(),
                )])
                .collect(),
            files: self.files.of_component(id),
            allowed: AllowedDestinations::parse(&hosts, ids)?,
            key_value_stores: self.stores.of_component(&definition.key_value_stores)?,
            http: Arc::clone(&self.http),
            redis: self.redis.clone(),
            peers: Arc::clone(&self.peers),
            error_form: definition.error_form,
            harsh: self.harsh,
            joins: Arc::clone(&self.joins),
        })
    }
}

fn make_router(
    manifest: &Manifest,
    handlers: &HashMap<String, ProxyHandler<ComponentHandler>>,
) -> anyhow::Result<Router<RouteTarget>> {
    let mut targets = Vec::new();
    for trigger in &manifest.triggers {
        let (Some(raw), Some(handler)) = (&trigger.route, handlers.get(&trigger.component)) else {
            continue;
        };
        if raw.starts_with(WELL_KNOWN_PREFIX) {
            warn(&format!(
                "warning: no request reaches the route {raw}: the host answers it"
            ));
        }
        targets.push((raw.clone(), (trigger, handler)));
    }
    let (router, displaced) = Router::new(targets).map_err(anyhow::Error::msg)?;
    for route in displaced {
        warn(&format!(
            "warning: the route {} of component `{}` is used again below and never serves",
            route.raw, route.target.0.component
        ));
    }
    router.try_map(|route, (trigger, handler)| {
        let definition = manifest.components.get(&trigger.component);
        Ok(RouteTarget {
            component: trigger.component.clone(),
            description: definition.and_then(|it| it.description.clone()),
            handler: handler.clone(),
            error_form: definition.map(|it| it.error_form).unwrap_or_default(),
            headers: RouteHeaders::new(&route.based, &route.raw, &route.prefix)
                .with_context(|| format!("route {}", route.raw))?,
        })
    })
}

fn info(manifest: &Manifest) -> Vec<u8> {
    let mut info = serde_json::Map::new();
    info.insert("name".to_owned(), manifest.name.clone().into());
    if let Some(version) = &manifest.version {
        info.insert("version".to_owned(), version.clone().into());
    }
    serde_json::to_vec_pretty(&info).unwrap_or_default()
}
