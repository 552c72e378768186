//! Which rules can be asked before a request's body is read.

use spillway_config::{LimitBy, Source};

/// What only a request's body tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InBody {
    /// Dify's end user.
    EndUser,
    /// The model that is asked for, and so the route.
    ModelAndRoute,
}

/// Which rules are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// All: everything is known.
    All,
    /// Those that need none of what is in the body.
    Head(InBody),
    /// The others.
    Body(InBody),
}

impl Due {
    /// Whether what counts by this is asked now.
    pub(crate) fn asks(self, by: &LimitBy) -> bool {
        match self {
            Self::All => true,
            Self::Head(hidden) => !hidden.hides(by),
            Self::Body(hidden) => hidden.hides(by),
        }
    }

    /// Whether what counts all requests together is asked now.
    pub(crate) const fn asks_global(self) -> bool {
        !matches!(self, Self::Body(_))
    }
}

impl InBody {
    fn hides(self, by: &LimitBy) -> bool {
        match self {
            Self::EndUser => by.source() == Source::EndUser,
            Self::ModelAndRoute => matches!(by.source(), Source::Model | Source::Route),
        }
    }
}
