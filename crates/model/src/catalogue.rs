//! Which route serves a model, and which models there are.

use std::collections::BTreeMap;
use std::time::Duration;

use spillway_config::{Fallback, Gateway, ModelApi, Provider};
use spillway_platform::Upstream;
use wildmatch::WildMatch;

/// A configuration that cannot be served by. `spillway check` refuses it before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A target names a provider that does not exist.
    #[error("model API `{api}`: there is no provider `{provider}`")]
    UnknownProvider {
        /// The API's name.
        api: String,
        /// The name in the target.
        provider: String,
    },
    /// A provider's URL.
    #[error("provider `{provider}`: `{url}` is no http or https URL")]
    ProviderUrl {
        /// The provider's name.
        provider: String,
        /// The URL as resolved.
        url: String,
    },
}

/// All model APIs, ready to be asked.
#[derive(Debug, Default)]
pub struct Catalogue {
    apis: Vec<Api>,
}

/// One model API.
#[derive(Debug)]
pub struct Api {
    /// Its name.
    pub name: String,
    /// Without a closing slash.
    pub base_path: String,
    /// The largest request body, in bytes.
    pub max_body_bytes: u64,
    /// Names of the consumers who may call; `None`: anyone.
    pub auth: Option<Vec<String>>,
    routes: Vec<Route>,
}

/// One route of a model API.
#[derive(Debug)]
pub struct Route {
    /// Its name, for metrics.
    pub name: String,
    /// Where it sends, in order.
    pub targets: Vec<TargetPlace>,
    /// When the next target is tried.
    pub fallback: Fallback,
    patterns: Vec<String>,
}

/// A target with its provider looked up.
#[derive(Debug)]
pub struct TargetPlace {
    /// The provider's name.
    pub provider: String,
    /// The provider's place.
    pub upstream: Upstream,
    /// Its keys; empty where it wants none.
    pub api_keys: Vec<String>,
    /// The model's name there; `None`: as the client asked.
    pub model: Option<String>,
    /// Until an unstreamed answer is complete, or between two pieces of a stream.
    pub timeout: Duration,
    /// Until a stream's first content.
    pub first_token_timeout: Duration,
}

impl TargetPlace {
    /// The model's name in metrics: never a client's own text, which would have no end.
    pub fn model_label(&self) -> &str {
        self.model.as_deref().unwrap_or("as_asked")
    }
}

impl Catalogue {
    /// Prepares the APIs of a configuration.
    ///
    /// # Errors
    /// [`Error`].
    pub fn new(gateway: &Gateway) -> Result<Self, Error> {
        let providers: BTreeMap<&str, &Provider> = gateway
            .providers
            .iter()
            .map(|provider| (provider.name.as_str(), provider))
            .collect();
        let apis = gateway
            .models
            .iter()
            .map(|api| Api::new(api, &providers))
            .collect::<Result<_, _>>()?;
        Ok(Self { apis })
    }

    /// The API with the longest base path that holds `path`, and the path below it.
    pub fn api<'p>(&self, path: &'p str) -> Option<(&Api, &'p str)> {
        self.apis
            .iter()
            .filter_map(|api| {
                let rest = path.strip_prefix(api.base_path.as_str())?;
                (rest.is_empty() || rest.starts_with('/')).then_some((api, rest))
            })
            .max_by_key(|(api, _)| api.base_path.len())
    }
}

impl Api {
    fn new(config: &ModelApi, providers: &BTreeMap<&str, &Provider>) -> Result<Self, Error> {
        let routes = config
            .routes
            .iter()
            .map(|route| {
                let targets = route
                    .targets
                    .iter()
                    .map(|target| {
                        let provider =
                            providers.get(target.provider.as_str()).ok_or_else(|| {
                                Error::UnknownProvider {
                                    api: config.name.clone(),
                                    provider: target.provider.clone(),
                                }
                            })?;
                        TargetPlace::new(target, provider)
                    })
                    .collect::<Result<_, _>>()?;
                let patterns = route.conditions.model.clone();
                let name = match (route.name.as_str(), patterns.first()) {
                    ("", Some(pattern)) => pattern.clone(),
                    ("", None) => "default".to_owned(),
                    (name, _) => name.to_owned(),
                };
                Ok(Route {
                    name,
                    targets,
                    fallback: route.fallback.clone(),
                    patterns,
                })
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self {
            name: config.name.clone(),
            base_path: config.base_path.trim_end_matches('/').to_owned(),
            max_body_bytes: config.max_body_size.bytes(),
            auth: config.policies.auth.clone(),
            routes,
        })
    }

    /// The first route, in the file's order, that takes the model.
    pub fn route(&self, model: &str) -> Option<&Route> {
        self.routes.iter().find(|route| {
            route.patterns.is_empty()
                || route.patterns.iter().any(|pattern| matches(pattern, model))
        })
    }

    /// The models that can be named for certain, with the provider of their first target: patterns without `*`,
    /// and for the others the targets' models that the pattern itself takes. In the file's order, each once.
    pub fn models(&self) -> Vec<(&str, &str)> {
        let mut models: Vec<(&str, &str)> = Vec::new();
        for route in &self.routes {
            let Some(first) = route.targets.first() else {
                continue;
            };
            let plain = route
                .patterns
                .iter()
                .filter(|pattern| !is_glob(pattern))
                .map(String::as_str);
            let of_targets = route
                .targets
                .iter()
                .filter_map(|target| target.model.as_deref());
            for model in plain.chain(of_targets) {
                let serves = self
                    .route(model)
                    .is_some_and(|found| std::ptr::eq(found, route));
                if serves && !models.iter().any(|(known, _)| *known == model) {
                    models.push((model, first.provider.as_str()));
                }
            }
        }
        models
    }

    /// Up to three known models whose names are near to `model`, nearest first.
    pub fn near(&self, model: &str) -> Vec<&str> {
        let mut near: Vec<(f64, &str)> = self
            .models()
            .into_iter()
            .map(|(known, _)| (strsim::jaro_winkler(known, model), known))
            .filter(|(likeness, _)| *likeness >= 0.75)
            .collect();
        near.sort_by(|left, right| right.0.total_cmp(&left.0));
        near.into_iter().take(3).map(|(_, known)| known).collect()
    }
}

impl TargetPlace {
    fn new(target: &spillway_config::Target, provider: &Provider) -> Result<Self, Error> {
        let upstream = Upstream::parse(&provider.base_url).ok_or_else(|| Error::ProviderUrl {
            provider: provider.name.clone(),
            url: provider.base_url.clone(),
        })?;
        let timeout = target.timeout.duration();
        Ok(Self {
            provider: provider.name.clone(),
            upstream,
            api_keys: provider
                .api_keys
                .iter()
                .filter(|key| !key.is_empty())
                .cloned()
                .collect(),
            model: target.model.clone(),
            timeout,
            first_token_timeout: target
                .first_token_timeout
                .map_or(timeout, |span| span.duration()),
        })
    }
}

fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

fn matches(pattern: &str, model: &str) -> bool {
    if is_glob(pattern) {
        WildMatch::new(pattern).matches(model)
    } else {
        pattern == model
    }
}
