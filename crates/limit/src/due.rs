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
    /// Whether what counts by this, or `None`: all requests together, is asked now. `needs_body`: the rule is one of which
    /// only the body tells whether and how it holds.
    pub(crate) fn asks(self, by: Option<&LimitBy>, needs_body: bool) -> bool {
        let is_hidden = |hidden: InBody| {
            (needs_body && hidden.tells_of_calls()) || by.is_some_and(|by| hidden.hides(by))
        };
        match self {
            Self::All => true,
            Self::Head(hidden) => !is_hidden(hidden),
            Self::Body(hidden) => is_hidden(hidden),
        }
    }
}

impl InBody {
    /// Whether it tells the route of a call, and how many tokens that may use.
    const fn tells_of_calls(self) -> bool {
        matches!(self, Self::ModelAndRoute)
    }

    fn hides(self, by: &LimitBy) -> bool {
        match self {
            Self::EndUser => by.source() == Source::EndUser,
            Self::ModelAndRoute => matches!(by.source(), Source::Model | Source::Route),
        }
    }
}
