//! What instances tell each other of endpoints and keys: one entry each, by name, that ends by itself.

use std::fmt;
use std::time::Duration;

/// What an entry is about, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// What it is about.
    pub thing: Thing,
    /// The consumer for which it holds, empty for calls without a credential; `None`: for everybody.
    pub consumer: Option<String>,
}

/// What may be ejected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    /// An endpoint, by its URL.
    Endpoint(String),
    /// A key, by its digest: never the key itself.
    Key(String),
}

/// What is the matter with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedState {
    /// An endpoint that is ejected.
    Open,
    /// A key that the provider does not take.
    Out,
    /// A key that the provider asked to be left alone for a while.
    Cooling,
    /// A key that the provider refused once, and that no probe tells more of.
    Suspect,
    /// A key that has served a call.
    Served,
    /// A key that has served a call, and that a probe was refused with since.
    Doubted,
    /// A key that serves though probes with it are refused.
    Trusted,
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
    /// How long it has been so.
    pub age: Duration,
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
    /// Its name in the store: `endpoint URL` or `key DIGEST`, and the consumer's name behind it where it holds for one
    /// alone. Neither an URL nor a digest has a space.
    pub fn field(&self) -> String {
        match &self.consumer {
            None => self.thing.to_string(),
            Some(consumer) => format!("{} {consumer}", self.thing),
        }
    }

    /// Reads a name of the store.
    pub fn of_field(field: &str) -> Option<Self> {
        let (kind, name) = field.split_once(' ')?;
        let (name, consumer) = match name.split_once(' ') {
            None => (name, None),
            Some((name, consumer)) => (name, Some(consumer.to_owned())),
        };
        let thing = match kind {
            "endpoint" => Thing::Endpoint(name.to_owned()),
            "key" => Thing::Key(name.to_owned()),
            _ => return None,
        };
        Some(Self { thing, consumer })
    }

    /// What kind of thing it is, for metrics.
    pub const fn kind(&self) -> &'static str {
        match self.thing {
            Thing::Endpoint(_) => "endpoint",
            Thing::Key(_) => "key",
        }
    }

    /// For whom alone it holds, for logs; empty: for everybody.
    pub fn whom(&self) -> String {
        match self.consumer.as_deref() {
            None => String::new(),
            Some("") => ", for calls without a credential".to_owned(),
            Some(consumer) => format!(", for consumer {consumer}"),
        }
    }
}

impl fmt::Display for Thing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(url) => write!(formatter, "endpoint {url}"),
            Self::Key(digest) => write!(formatter, "key {digest}"),
        }
    }
}

impl SharedState {
    /// Whether it ejects anything, which operators should know of.
    pub const fn is_setback(self) -> bool {
        matches!(self, Self::Open | Self::Out | Self::Cooling | Self::Suspect)
    }

    /// The name in the store, in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Out => "out",
            Self::Cooling => "cooling",
            Self::Suspect => "suspect",
            Self::Served => "served",
            Self::Doubted => "doubted",
            Self::Trusted => "trusted",
        }
    }

    /// Reads [`SharedState::as_str`].
    pub fn of_str(text: &str) -> Option<Self> {
        const ALL: [SharedState; 7] = [
            SharedState::Open,
            SharedState::Out,
            SharedState::Cooling,
            SharedState::Suspect,
            SharedState::Served,
            SharedState::Doubted,
            SharedState::Trusted,
        ];
        ALL.into_iter().find(|state| state.as_str() == text)
    }
}

impl Transition {
    /// The state that it leads to, as metrics and logs name it.
    pub fn to_str(&self) -> &'static str {
        match (&self.to, &self.subject.thing) {
            (Some((state, _)), _) => state.as_str(),
            (None, Thing::Endpoint(_)) => "closed",
            (None, Thing::Key(_)) => "back",
        }
    }
}
