//! Which calls a route takes.

use spillway_config::{
    Fallback, FallbackCondition, ModelMatch, ModelRoute, Parameters, PathMatch, RequestMatch,
};
use spillway_forward::Conditions;
use spillway_pattern::Pattern;
use spillway_platform::{MAX_MATCHED_BYTES, RequestHead};

use crate::{Error, InputTokens, ModelPattern, Operation, TargetPlace};

/// One route of a model API.
#[derive(Debug)]
pub struct Route {
    /// Its name, for metrics.
    pub name: String,
    /// Where it sends, in order.
    pub targets: Vec<TargetPlace>,
    /// When the next target is tried.
    pub fallback: Fallback,
    /// What the gateway sees to in a request's parameters.
    pub parameters: Parameters,
    /// How many tokens its models answer with at most, where that is known.
    pub max_output_tokens: Option<u64>,
    pub(crate) patterns: Vec<ModelPattern>,
    path: Option<PathPattern>,
    conditions: Conditions,
    consumers: Vec<String>,
    auth: Option<Vec<String>>,
}

#[derive(Debug)]
enum PathPattern {
    Exact(String),
    Prefix(String),
    Regexp(Pattern),
}

/// A call, as far as routes look at it.
#[derive(Debug, Clone, Copy)]
pub struct CallFacts<'a> {
    /// The model; `None` where the call names none.
    pub model: Option<&'a str>,
    /// The endpoint below the API's base path, from its version on: `/v1/embeddings`.
    pub path: &'a str,
    /// The request.
    pub head: &'a RequestHead,
    /// Who calls.
    pub consumer: Option<&'a str>,
}

impl Route {
    pub(crate) fn new(config: &ModelRoute, targets: Vec<TargetPlace>) -> Result<Self, Error> {
        let regexp = |text: &str| Pattern::new(text).map_err(|_| Error::Regexp(text.to_owned()));
        let ModelMatch {
            model,
            path,
            headers,
            consumers,
        } = &config.conditions;
        let path = match path {
            None => None,
            Some(PathMatch::Exact { exact }) => Some(PathPattern::Exact(exact.clone())),
            Some(PathMatch::Prefix(prefix)) => {
                Some(PathPattern::Prefix(prefix.trim_end_matches('/').to_owned()))
            }
            Some(PathMatch::Regex { regex }) => Some(PathPattern::Regexp(regexp(regex)?)),
        };
        let by_headers = RequestMatch {
            headers: headers.clone(),
            ..RequestMatch::default()
        };
        let name = match (config.name.as_str(), model.first()) {
            ("", Some(pattern)) => pattern.clone(),
            ("", None) => "default".to_owned(),
            (name, _) => name.to_owned(),
        };
        Ok(Self {
            name,
            targets,
            fallback: config.fallback.clone(),
            parameters: config.parameters.clone(),
            max_output_tokens: config.max_output_tokens,
            patterns: model
                .iter()
                .map(|pattern| ModelPattern::parse(pattern).map_err(Error::Regexp))
                .collect::<Result<_, _>>()?,
            path,
            conditions: Conditions::new(&by_headers, regexp)?,
            consumers: consumers.clone(),
            auth: config.auth.clone(),
        })
    }

    /// Whether it takes the call.
    pub(crate) fn matches(&self, call: &CallFacts<'_>) -> bool {
        let matches_model = match call.model {
            Some(model) => self.matches_model(model),
            None => self.patterns.is_empty(),
        };
        matches_model
            && self.is_for(call.consumer)
            && self
                .path
                .as_ref()
                .is_none_or(|path| path.matches(call.path))
            && self.conditions.match_request(call.head)
    }

    pub(crate) fn matches_model(&self, model: &str) -> bool {
        self.patterns.is_empty() || self.patterns.iter().any(|pattern| pattern.matches(model))
    }

    /// Whether it leaves no call of this caller for this model to later routes.
    pub(crate) fn matches_all_of(&self, model: &str, consumer: Option<&str>) -> bool {
        let is_conditional = self.path.is_some() || self.conditions.count() > 0;
        !is_conditional && self.matches_model(model) && self.is_for(consumer)
    }

    /// Whether its `match.consumers` has the caller.
    pub(crate) fn is_for(&self, consumer: Option<&str>) -> bool {
        self.consumers.is_empty()
            || consumer.is_some_and(|name| self.consumers.iter().any(|own| own == name))
    }

    /// Whether its `auth` lets the caller in.
    pub fn lets_in(&self, consumer: Option<&str>) -> bool {
        self.auth
            .as_ref()
            .is_none_or(|names| consumer.is_some_and(|name| names.iter().any(|own| own == name)))
    }

    /// What the configuration calls the model that is asked for: its pattern here, of which there are so many as are
    /// written down.
    pub fn known_name(&self, model: &str) -> &str {
        let pattern = self.patterns.iter().find(|pattern| pattern.matches(model));
        pattern.map_or("", ModelPattern::as_str)
    }

    /// Whether a call that the gateway's own limits refused goes to its second target.
    pub fn serves_refused(
        &self,
        operation: Operation,
        model: Option<&str>,
        input: Option<InputTokens>,
    ) -> bool {
        let mut others = self.targets.iter().skip(1);
        let fits = |place: &TargetPlace| {
            self.may_answer(place, operation, model.unwrap_or_default()) && place.takes(input)
        };
        others.any(fits)
            && self
                .fallback
                .on
                .contains(&FallbackCondition::GatewayRefusal)
    }

    /// Whether its `match.path` is meant for this path, and not for all of a kind.
    pub fn lists(&self, path: &str) -> bool {
        self.path.as_ref().is_some_and(|own| {
            // What takes `/v1/files` as well means all of them; `/v1/files/import` is meant.
            let roots = ["/v1/files", "/v1/batches", "/v1/responses"];
            !roots.iter().any(|root| own.matches(root)) && own.matches(path)
        })
    }

    /// Whether a target's vectors are those of the route's first one.
    pub(crate) fn embeds_alike(&self, place: &TargetPlace, asked: &str) -> bool {
        self.fallback.embeddings_across_models
            || self
                .targets
                .first()
                .is_none_or(|first| first.model_for(asked) == place.model_for(asked))
    }

    /// Whether an answer that a content filter emptied counts as a failure.
    pub(crate) fn minds_content_filter(&self) -> bool {
        self.fallback.on.contains(&FallbackCondition::ContentFilter)
    }
}

impl PathPattern {
    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Self::Regexp(expression) => {
                path.len() <= MAX_MATCHED_BYTES && expression.is_match(path)
            }
        }
    }
}
