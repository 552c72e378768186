//! One version of an application: what its manifest and the values of its variables make, on the [`Base`] that all
//! versions share.

mod base;
mod live;

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;
use wasmtime_wasi_http::handler::ProxyHandler;

use crate::answer::ErrorForm;
use crate::component::Component;
use crate::gateway_config;
use crate::instance::ComponentHandler;
use crate::log_lines::{Destination, warn};
use crate::manifest::{ComponentDefinition, Manifest, MountedFiles};
use crate::outbound::AllowedDestinations;
use crate::routes::Router;
use crate::spin_headers::RouteHeaders;
use crate::upgrade;
use crate::variables::Variables;

pub use base::{ApplicationSettings, Base};
pub use live::LiveApplication;

/// Paths that Spin answers by itself.
pub const WELL_KNOWN_PREFIX: &str = "/.well-known/spin/";

/// One version of an application. A request keeps the one that it began with, and so do the instances that serve it.
pub struct Application {
    /// Its routes.
    pub router: Router<RouteTarget>,
    /// What it shares with other versions.
    pub base: Arc<Base>,
    /// What `/.well-known/spin/info` answers.
    pub info: bytes::Bytes,
    handlers: HashMap<String, ProxyHandler<ComponentHandler>>,
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
    /// Puts a version together. `manifest` is the one that `base` was made for, but for the hosts that it grants.
    ///
    /// # Errors
    /// When anything is missing or does not fit together; the message names it.
    pub fn new(
        base: &Arc<Base>,
        manifest: &Manifest,
        variables: &Variables,
    ) -> anyhow::Result<Self> {
        let generated = variables
            .get(gateway_config::VARIABLE)
            .filter(|text| !text.is_empty())
            .map(|text| (gateway_config::NORMAL_FORM_FILE.to_owned(), text.to_owned()));
        let generated = generated.into_iter().collect();
        let files = Arc::new(MountedFiles::copy(manifest, &generated, &base.state_dir)?);
        let ids: Vec<&str> = manifest.components.keys().map(String::as_str).collect();
        let mut handlers = HashMap::new();
        for (number, (id, definition)) in manifest.components.iter().enumerate() {
            let component = component(base, id, definition, variables, &ids, &files)
                .with_context(|| format!("component `{id}`"))?;
            let service = base
                .service(id)
                .with_context(|| format!("component `{id}` was not there at start"))?;
            let handler = ProxyHandler::new(ComponentHandler::new(
                service,
                Arc::new(component),
                base.reuse,
                Arc::clone(&base.pool),
                number,
            ));
            handlers.insert(id.clone(), handler);
        }
        Ok(Self {
            router: make_router(manifest, &handlers)?,
            base: Arc::clone(base),
            info: info(manifest).into(),
            handlers,
        })
    }
}

fn component(
    base: &Base,
    id: &str,
    definition: &ComponentDefinition,
    variables: &Variables,
    ids: &[&str],
    files: &Arc<MountedFiles>,
) -> anyhow::Result<Component> {
    let hosts = definition
        .allowed_outbound_hosts
        .iter()
        .map(|template| variables.fill(template))
        .collect::<Result<Vec<_>, _>>()?;
    let output = |destination| {
        if base.quiet {
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
                base.joins.key().to_owned(),
            )])
            .collect(),
        files: Arc::clone(files),
        allowed: AllowedDestinations::parse(&hosts, ids)?,
        key_value_stores: base.stores.of_component(&definition.key_value_stores)?,
        http: Arc::clone(&base.http),
        redis: base.redis.clone(),
        peers: Arc::downgrade(&base.peers),
        error_form: definition.error_form,
        harsh: base.harsh,
        joins: Arc::clone(&base.joins),
        reloads: Arc::clone(&base.reloads),
    })
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
