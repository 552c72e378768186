//! One place a call can be sent to.

use std::sync::Arc;
use std::time::Duration;

use spillway_config::{ContextWindow, TargetConfig, TimeSpan};
use spillway_platform::Headers;
use spillway_upstream::{Attempt, Pool};

use crate::provider::ProviderSettings;
use crate::{Dialect, Error, InputTokens, ModelPattern, ModelThere};

/// A target with its provider looked up.
#[derive(Debug)]
pub struct TargetPlace {
    /// The provider's endpoints and keys.
    pub pool: Arc<Pool>,
    /// Its share of the calls that begin with it.
    pub weight: Option<u32>,
    /// Until an unstreamed answer is complete.
    pub timeout: Timeout,
    /// Until a stream's first content.
    pub first_token_timeout: Timeout,
    /// Between two pieces of a stream.
    pub between_pieces: Duration,
    /// How large a call's input may be.
    pub(crate) window: Option<ContextWindow>,
    pub(crate) settings: Arc<ProviderSettings>,
    names: Names,
}

/// An attempt at a target.
pub(crate) type PlacedAttempt<'a> = Attempt<'a, &'a TargetPlace>;

/// What the model asked for is called there.
#[derive(Debug)]
enum Names {
    AsAsked,
    One(String),
    /// The nearest first.
    Several(Vec<(ModelPattern, String)>),
}

/// Where the configuration says nothing: as long as Dify's plugins wait between two bytes.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);

/// How long a target may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeout {
    /// At most.
    pub max: Duration,
    /// It was written down; else the time is shared with the targets that are left.
    is_written: bool,
}

impl Timeout {
    fn new(span: Option<TimeSpan>) -> Self {
        Self {
            max: span.map_or(DEFAULT_TIMEOUT, TimeSpan::duration),
            is_written: span.is_some(),
        }
    }

    /// How long the target may take of what is left of the deadline, with so many targets to go, itself among them.
    fn within(self, time_left: Duration, targets_left: u32) -> Duration {
        let share = if self.is_written {
            time_left
        } else {
            time_left
                .checked_div(targets_left.max(1))
                .unwrap_or(time_left)
        };
        self.max.min(share)
    }
}

impl TargetPlace {
    pub(crate) fn new(
        target: &TargetConfig,
        of_route: Option<ContextWindow>,
        pool: Arc<Pool>,
        settings: Arc<ProviderSettings>,
    ) -> Result<Self, Error> {
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
        let timeout = Timeout::new(target.timeout);
        Ok(Self {
            pool,
            weight: target.weight,
            timeout,
            first_token_timeout: target
                .first_token_timeout
                .map_or(timeout, |span| Timeout::new(Some(span))),
            between_pieces: timeout.max,
            window: target.context_window.or(of_route),
            settings,
            names,
        })
    }

    /// How long an attempt may take here: until an answer is complete, or a stream's first content.
    pub(crate) fn limit(&self, attempt: &PlacedAttempt<'_>, is_stream: bool) -> Duration {
        let timeout = if is_stream {
            self.first_token_timeout
        } else {
            self.timeout
        };
        timeout.within(attempt.time_left, attempt.targets_left)
    }

    /// Whether an input of so many tokens is not too large; one that is not known never is.
    pub(crate) fn takes(&self, input: Option<InputTokens>) -> bool {
        let is_within = |window: ContextWindow| {
            input.is_none_or(|tokens| tokens.largest <= window.max_input_tokens)
        };
        self.window.is_none_or(is_within)
    }

    /// What its provider speaks.
    pub fn dialect(&self) -> Dialect {
        self.settings.dialect()
    }

    /// The provider's name.
    pub fn provider(&self) -> &str {
        self.pool.provider()
    }

    /// Appends those of a client's header fields that the provider's configuration lets through.
    pub fn forward(&self, from_client: &Headers, to: &mut Headers) {
        self.settings.forward(from_client, to);
    }

    /// What a model is called there.
    pub fn model_for<'a>(&'a self, asked: &'a str) -> &'a str {
        self.configured_name(asked).unwrap_or(asked)
    }

    /// The same, for a request's body.
    pub fn model_there(&self, asked: &str) -> ModelThere<'_> {
        self.configured_name(asked)
            .map_or(ModelThere::AsAsked, ModelThere::Configured)
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
