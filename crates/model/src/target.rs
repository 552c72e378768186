//! One place a call can be sent to.

use std::sync::Arc;
use std::time::Duration;

use spillway_config::Target;
use spillway_failover::Pool;

use crate::{Error, ModelPattern};

/// A target with its provider looked up.
#[derive(Debug)]
pub struct TargetPlace {
    /// The provider's endpoints and keys.
    pub pool: Arc<Pool>,
    /// Its share of the calls that begin with it.
    pub weight: Option<u32>,
    /// Until an unstreamed answer is complete, or between two pieces of a stream.
    pub timeout: Duration,
    /// Until a stream's first content.
    pub first_token_timeout: Duration,
    names: Names,
}

/// What the model asked for is called there.
#[derive(Debug)]
enum Names {
    AsAsked,
    One(String),
    /// The nearest first.
    Several(Vec<(ModelPattern, String)>),
}

impl TargetPlace {
    pub(crate) fn new(target: &Target, pool: Arc<Pool>) -> Result<Self, Error> {
        let names = match &target.model {
            Some(model) => Names::One(model.clone()),
            None if target.models.is_empty() => Names::AsAsked,
            None => {
                let mut several = target
                    .models
                    .iter()
                    .map(|(pattern, name)| Ok((ModelPattern::parse(pattern)?, name.clone())))
                    .collect::<Result<Vec<_>, String>>()
                    .map_err(Error::Regexp)?;
                several.sort_by_key(|(pattern, _)| pattern.rank());
                Names::Several(several)
            }
        };
        let timeout = target.timeout.duration();
        Ok(Self {
            pool,
            weight: target.weight,
            timeout,
            first_token_timeout: target
                .first_token_timeout
                .map_or(timeout, |span| span.duration()),
            names,
        })
    }

    /// The provider's name.
    pub fn provider(&self) -> &str {
        self.pool.provider()
    }

    /// What a model is called there.
    pub fn model_for<'a>(&'a self, asked: &'a str) -> &'a str {
        self.configured_name(asked).unwrap_or(asked)
    }

    /// The model's name in metrics: never a client's own text, which would have no end.
    pub fn model_label(&self, asked: &str) -> &str {
        self.configured_name(asked).unwrap_or("as_asked")
    }

    /// Every name that the configuration gives it, with the name to ask for, where one is written down.
    pub(crate) fn known_names(&self) -> impl Iterator<Item = &str> {
        let (one, several) = match &self.names {
            Names::AsAsked => (None, None),
            Names::One(name) => (Some(name.as_str()), None),
            Names::Several(several) => (None, Some(several)),
        };
        let asked = several
            .into_iter()
            .flatten()
            .filter_map(|(pattern, _)| pattern.name());
        one.into_iter().chain(asked)
    }

    fn configured_name(&self, asked: &str) -> Option<&str> {
        match &self.names {
            Names::AsAsked => None,
            Names::One(name) => Some(name),
            Names::Several(several) => several
                .iter()
                .find(|(pattern, _)| pattern.matches(asked))
                .map(|(_, name)| name.as_str()),
        }
    }
}
