//! The columns: what a call may be sent to besides what fails, and how it is asked.

/// What a call may be sent to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// Two targets: the first fails whenever it is called, the second is well.
    TwoTargets,
    /// One target with one endpoint and one key, which fails whenever it is called.
    OneEndpoint,
    /// The same, which fails once and is well then.
    OneEndpointOnce,
    /// One target with one endpoint and two keys; the first call fails, later ones are served.
    TwoKeysOnce,
}

/// How a call asks for its answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Whole,
    Streamed,
}

/// A column of the matrix.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Column {
    pub setup: Setup,
    pub mode: Mode,
}

impl Column {
    /// All of them, in order.
    pub fn all() -> Vec<Self> {
        Setup::ALL
            .into_iter()
            .flat_map(|setup| [Mode::Whole, Mode::Streamed].map(|mode| Self { setup, mode }))
            .collect()
    }

    /// Its title.
    pub fn title(self) -> String {
        match self.mode {
            Mode::Whole => self.setup.title().to_owned(),
            Mode::Streamed => format!("{}, streamed", self.setup.title()),
        }
    }
}

impl Setup {
    pub const ALL: [Self; 4] = [
        Self::TwoTargets,
        Self::OneEndpoint,
        Self::OneEndpointOnce,
        Self::TwoKeysOnce,
    ];

    pub fn title(self) -> &'static str {
        match self {
            Self::TwoTargets => "two targets",
            Self::OneEndpoint => "one endpoint",
            Self::OneEndpointOnce => "one endpoint, fails once",
            Self::TwoKeysOnce => "two keys, fails once",
        }
    }

    pub fn explanation(self) -> &'static str {
        match self {
            Self::TwoTargets => {
                "The first target fails whenever it is called, the second is well. An endpoint is ejected after one failure."
            }
            Self::OneEndpoint => {
                "One target with one endpoint and one key, which fails whenever it is called. An endpoint is ejected after two failures."
            }
            Self::OneEndpointOnce => {
                "One target with one endpoint and one key, which fails once and is well then. An endpoint is ejected after two failures."
            }
            Self::TwoKeysOnce => {
                "One target with one endpoint and two keys. The first call fails, later ones are served. An endpoint is ejected after two failures."
            }
        }
    }

    /// Failures of the endpoint after which it is ejected. Where it is asked again at once that has to be more
    /// than one.
    pub fn failures_allowed(self) -> u8 {
        match self {
            Self::TwoTargets => 1,
            Self::OneEndpoint | Self::OneEndpointOnce | Self::TwoKeysOnce => 2,
        }
    }

    /// Whether the upstream is well after its first answer.
    pub fn fails_once(self) -> bool {
        matches!(self, Self::OneEndpointOnce | Self::TwoKeysOnce)
    }
}
