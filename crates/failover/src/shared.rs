//! What instances tell each other of endpoints and keys: one entry each, by name, that ends by itself.

use std::fmt;
use std::time::Duration;

/// What an entry is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// An endpoint, by its URL.
    Endpoint(String),
    /// A key, by its digest: never the key itself.
    Key(String),
}

/// What is the matter with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedState {
    /// An endpoint that is left alone.
    Open,
    /// A key that the provider does not take.
    Out,
    /// A key that the provider asked to be left alone for a while.
    Cooling,
}

/// An entry as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedEntry {
    /// What it is about.
    pub subject: Subject,
    /// What is the matter with it.
    pub state: SharedState,
    /// How much longer.
    pub rest: Duration,
}

/// A change that other instances should know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The provider.
    pub provider: String,
    /// What has changed.
    pub subject: Subject,
    /// To what, and for how long; `None`: nothing is the matter with it any more.
    pub to: Option<(SharedState, Duration)>,
}

impl Subject {
    /// Its name in the store.
    pub fn field(&self) -> String {
        self.to_string()
    }

    /// Reads a name of the store.
    pub fn of_field(field: &str) -> Option<Self> {
        let (kind, name) = field.split_once(' ')?;
        match kind {
            "endpoint" => Some(Self::Endpoint(name.to_owned())),
            "key" => Some(Self::Key(name.to_owned())),
            _ => None,
        }
    }

    /// What kind of thing it is, for metrics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Endpoint(_) => "endpoint",
            Self::Key(_) => "key",
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(url) => write!(formatter, "endpoint {url}"),
            Self::Key(digest) => write!(formatter, "key {digest}"),
        }
    }
}

impl SharedState {
    /// The name in the store, in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Out => "out",
            Self::Cooling => "cooling",
        }
    }

    /// Reads [`SharedState::as_str`].
    pub fn of_str(text: &str) -> Option<Self> {
        [Self::Open, Self::Out, Self::Cooling]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

impl Transition {
    /// The state that it leads to, as metrics and logs name it.
    pub fn to_str(&self) -> &'static str {
        match (&self.to, &self.subject) {
            (Some((state, _)), _) => state.as_str(),
            (None, Subject::Endpoint(_)) => "closed",
            (None, Subject::Key(_)) => "back",
        }
    }
}
