//! Which route serves a call, and which models there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use spillway_config::{
    ContextWindow, FallbackCondition, Gateway, ModelApiConfig, Provider, TargetConfig,
};
use spillway_platform::Headers;
use spillway_upstream::Pool;

use crate::client_headers::picked;
use crate::provider::ProviderSettings;
use crate::{CallFacts, Dialect, MAX_MODEL_BYTES, ModelPattern, Route, TargetPlace};

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
    /// A text that is no regular expression.
    #[error("`{0}` is no regular expression")]
    Regexp(String),
}

/// All model APIs, ready to be asked.
#[derive(Debug, Default)]
pub struct ModelCatalogue {
    apis: Vec<Arc<ModelApi>>,
    /// Header fields of clients that some provider gets and others do not.
    forwarded: Vec<String>,
    /// What each provider speaks, by its name.
    dialects: BTreeMap<String, Dialect>,
}

/// One model API.
#[derive(Debug)]
pub struct ModelApi {
    /// Its name.
    pub name: String,
    /// Without a closing slash.
    pub base_path: String,
    /// The largest request body, in bytes.
    pub max_body_bytes: u64,
    /// Names of the consumers who may call; `None`: anyone.
    pub auth: Option<Vec<String>>,
    /// The query parameter in which a key may come.
    pub api_key_query: Option<String>,
    routes: Vec<Arc<Route>>,
    /// The models that consumers may use, where that is not all of them.
    may_use: BTreeMap<String, Vec<ModelPattern>>,
}

/// What the targets of a provider share.
struct ProviderPlace {
    pool: Arc<Pool>,
    settings: Arc<ProviderSettings>,
}

/// Why no route serves a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoute {
    /// None takes it.
    Unknown,
    /// The one that does, or the model, is not for this caller.
    Forbidden,
}

impl ModelCatalogue {
    /// Prepares the APIs of a configuration.
    ///
    /// # Errors
    /// [`Error`].
    pub fn new(gateway: &Gateway) -> Result<Self, Error> {
        let mut providers: BTreeMap<&str, ProviderPlace> = BTreeMap::new();
        for provider in &gateway.providers {
            let pool = Pool::new(provider).map_err(|url| Error::ProviderUrl {
                provider: provider.name.clone(),
                url,
            })?;
            let place = ProviderPlace {
                pool: Arc::new(pool),
                settings: Arc::new(ProviderSettings::new(provider)),
            };
            providers.insert(&provider.name, place);
        }
        let mut may_use = BTreeMap::new();
        for consumer in &gateway.consumers {
            if let Some(models) = &consumer.models {
                let patterns = models
                    .iter()
                    .map(|pattern| ModelPattern::parse(pattern).map_err(Error::Regexp))
                    .collect::<Result<Vec<_>, _>>()?;
                may_use.insert(consumer.name.clone(), patterns);
            }
        }
        let apis = gateway
            .models
            .iter()
            .map(|api| ModelApi::new(api, &providers, &may_use).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let forwarded = gateway
            .providers
            .iter()
            .flat_map(|provider| provider.forward_headers.clone())
            .collect();
        let dialect = |provider: &Provider| {
            let dialect = Dialect::of(provider.provider_type);
            (provider.name.clone(), dialect)
        };
        Ok(Self {
            apis,
            forwarded,
            dialects: gateway.providers.iter().map(dialect).collect(),
        })
    }

    /// What some provider may get of a client's header fields besides those that all get.
    pub fn forwardable(&self, from_client: &Headers) -> Headers {
        picked(from_client, |name| {
            self.forwarded.iter().any(|known| known == name)
        })
    }

    /// What a provider speaks.
    pub fn dialect(&self, provider: &str) -> Option<Dialect> {
        self.dialects.get(provider).copied()
    }

    /// The API with the longest base path that holds `path`, and the path below it.
    pub fn api<'p>(&self, path: &'p str) -> Option<(&Arc<ModelApi>, &'p str)> {
        self.apis
            .iter()
            .filter_map(|api| {
                let rest = path.strip_prefix(api.base_path.as_str())?;
                (rest.is_empty() || rest.starts_with('/')).then_some((api, rest))
            })
            .max_by_key(|(api, _)| api.base_path.len())
    }
}

impl ModelApi {
    fn new(
        config: &ModelApiConfig,
        providers: &BTreeMap<&str, ProviderPlace>,
        may_use: &BTreeMap<String, Vec<ModelPattern>>,
    ) -> Result<Self, Error> {
        let place = |target: &TargetConfig, of_route: Option<ContextWindow>| {
            let provider = providers.get(target.provider.as_str());
            let provider = provider.ok_or_else(|| Error::UnknownProvider {
                api: config.name.clone(),
                provider: target.provider.clone(),
            })?;
            TargetPlace::new(
                target,
                of_route,
                Arc::clone(&provider.pool),
                Arc::clone(&provider.settings),
            )
        };
        let routes = config
            .routes
            .iter()
            .map(|route| {
                let targets = route.targets.iter();
                let targets = targets.map(|target| place(target, route.context_window));
                let targets = targets.collect::<Result<_, _>>()?;
                Route::new(route, targets).map(Arc::new)
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self {
            name: config.name.clone(),
            base_path: config.base_path.trim_end_matches('/').to_owned(),
            max_body_bytes: config.max_body_size.bytes(),
            auth: config.policies.auth.clone(),
            api_key_query: config.policies.api_key_query.clone(),
            routes,
            may_use: may_use.clone(),
        })
    }

    /// The first route, in the file's order, that takes the call.
    ///
    /// # Errors
    /// [`NoRoute`].
    pub fn route(&self, call: &CallFacts<'_>) -> Result<&Arc<Route>, NoRoute> {
        let route = self
            .routes
            .iter()
            .find(|route| route.matches(call))
            .ok_or(NoRoute::Unknown)?;
        let may_use = call
            .model
            .is_none_or(|model| self.may_use(call.consumer, model));
        if may_use && route.lets_in(call.consumer) {
            Ok(route)
        } else {
            Err(NoRoute::Forbidden)
        }
    }

    /// Whether some route sends a call that the gateway's own limits refuse to its second target.
    pub fn serves_refused(&self) -> bool {
        let wanted = FallbackCondition::GatewayRefusal;
        let mut routes = self.routes.iter();
        routes.any(|route| route.targets.len() > 1 && route.fallback.on.contains(&wanted))
    }

    /// Whether a caller may use some models only.
    pub fn is_restricted(&self, consumer: Option<&str>) -> bool {
        consumer.is_some_and(|name| self.may_use.contains_key(name))
    }

    fn may_use(&self, consumer: Option<&str>, model: &str) -> bool {
        consumer
            .and_then(|name| self.may_use.get(name))
            .is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(model)))
    }

    /// The models that this caller may use and that can be named for certain, with the provider of their first target:
    /// the names among the patterns of routes, and those that the targets know with which a call begins, where the route
    /// itself takes them. In the file's order, each once. What a route asks of headers and paths is left out of account.
    pub fn models(&self, consumer: Option<&str>) -> Vec<(&str, &str)> {
        let mut models: Vec<(&str, &str)> = Vec::new();
        for route in &self.routes {
            let Some(first) = route.targets.first() else {
                continue;
            };
            if !route.lets_in(consumer) || !route.is_for(consumer) {
                continue;
            }
            let plain = route.patterns.iter().filter_map(ModelPattern::name);
            // A name that only a later target knows is sent to the first one as it was asked for, which is 404 there.
            let begins =
                |(place, target): &(usize, &TargetPlace)| *place == 0 || target.weight > Some(0);
            let firsts = route.targets.iter().enumerate().filter(begins);
            let of_targets = firsts.flat_map(|(_, target)| target.known_names());
            for model in plain.chain(of_targets) {
                let mut before = self
                    .routes
                    .iter()
                    .take_while(|other| !Arc::ptr_eq(other, route));
                let serves = route.matches_model(model)
                    && !before.any(|other| other.matches_all_of(model, consumer));
                let is_new = !models.iter().any(|(known, _)| *known == model);
                if serves && is_new && self.may_use(consumer, model) {
                    models.push((model, first.provider()));
                }
            }
        }
        models
    }

    /// Up to three models of this caller whose names are near to `model`, nearest first; none for what is too long to be
    /// a name.
    pub fn near(&self, consumer: Option<&str>, model: &str) -> Vec<&str> {
        if model.len() > MAX_MODEL_BYTES {
            return Vec::new();
        }
        let mut near: Vec<(f64, &str)> = self
            .models(consumer)
            .into_iter()
            .map(|(known, _)| (strsim::jaro_winkler(known, model), known))
            .filter(|(likeness, _)| *likeness >= 0.75)
            .collect();
        near.sort_by(|left, right| right.0.total_cmp(&left.0));
        near.into_iter().take(3).map(|(_, known)| known).collect()
    }
}
