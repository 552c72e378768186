//! A route of the operator's own, ready to be asked.

use std::sync::Arc;

use spillway_config::{AgentRoute, DifyService, PathMatch};
use spillway_pattern::Pattern;
use spillway_platform::{MAX_MATCHED_BYTES, RequestHead};

use super::{Error, RouteName};
use crate::condition::Conditions;
use crate::is_below;

/// A route of the operator's own.
#[derive(Debug)]
pub(super) struct RoutePattern {
    name: Arc<str>,
    /// `None`: the one that Dify's table gives.
    pub service: Option<DifyService>,
    path: PathRule,
    methods: Vec<String>,
    conditions: Conditions,
}

#[derive(Debug)]
enum PathRule {
    Prefix(String),
    Regex(Pattern),
    Exact(String),
}

/// What makes one matching route win over another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    kind: Kind,
    prefix_length: usize,
    conditions: usize,
}

/// As nginx has it: an exact path before an expression before a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Prefix,
    Regex,
    Exact,
}

impl Rank {
    /// Whether it comes before a prefix so long of Dify's own table.
    pub fn beats_prefix_of(self, length: usize) -> bool {
        self.kind != Kind::Prefix || self.prefix_length >= length
    }
}

impl RoutePattern {
    pub fn new(api: &str, config: &AgentRoute) -> Result<Self, Error> {
        let regex = |expression: &str| {
            Pattern::new(expression).map_err(|source| Error::Regex {
                api: api.to_owned(),
                route: config.name.clone(),
                source,
            })
        };
        let path = match &config.path {
            PathMatch::Prefix(prefix) => PathRule::Prefix(prefix.clone()),
            PathMatch::Exact { exact } => PathRule::Exact(exact.clone()),
            PathMatch::Regex { regex: expression } => PathRule::Regex(regex(expression)?),
        };
        Ok(Self {
            name: config.name.as_str().into(),
            service: config.service,
            path,
            methods: config.methods.clone(),
            conditions: Conditions::new(&config.conditions, regex)?,
        })
    }

    pub fn name(&self) -> RouteName {
        RouteName::Configured(Arc::clone(&self.name))
    }

    /// `None` where it does not take the request. `path` is normalized and below the API's base path.
    pub fn rank(&self, path: &str, request: &RequestHead) -> Option<Rank> {
        let (kind, prefix_length, matches) = match &self.path {
            PathRule::Prefix(prefix) => (Kind::Prefix, prefix.len(), is_below(path, prefix)),
            PathRule::Regex(expression) => (
                Kind::Regex,
                0,
                path.len() <= MAX_MATCHED_BYTES && expression.is_match(path),
            ),
            PathRule::Exact(exact) => (Kind::Exact, 0, path == exact),
        };
        let method = request.method.as_str();
        let fits_method =
            self.methods.is_empty() || self.methods.iter().any(|known| known == method);
        (matches && fits_method && self.conditions.match_request(request)).then(|| Rank {
            kind,
            prefix_length,
            conditions: self.conditions.count(),
        })
    }
}
