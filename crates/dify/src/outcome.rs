//! How a run ended and what it took.

/// How an app answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseMode {
    /// In one piece when the run is over.
    Blocking,
    /// As a stream of events.
    Streaming,
    /// The answer was not read, so it does not say.
    Unknown,
}

impl ResponseMode {
    /// The name that Dify's `response_mode` has for it, where it has one.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocking => "blocking",
            Self::Streaming => "streaming",
            Self::Unknown => "unknown",
        }
    }
}

/// How a run ended. The names are labels of metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RunOutcome {
    /// It came to its end: `message_end`, or a workflow that succeeded, wholly or with exceptions handled.
    Succeeded,
    /// The workflow failed.
    Failed,
    /// Somebody stopped it.
    Stopped,
    /// It waits for a human and goes on in another stream.
    Paused,
    /// Dify said so in an `error` event.
    Error,
    /// Dify did not begin it: its answer has an error's status.
    Refused,
    /// The answer broke off, or stopped for too long.
    Broken,
    /// The client left before the end.
    ClientLeft,
    /// The stream ended without saying how.
    #[default]
    Unfinished,
    /// Its answer could not be read: no JSON, or an event larger than is read.
    Unread,
}

impl RunOutcome {
    /// The name in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Paused => "paused",
            Self::Error => "error",
            Self::Refused => "refused",
            Self::Broken => "broken",
            Self::ClientLeft => "client_left",
            Self::Unfinished => "unfinished",
            Self::Unread => "unread",
        }
    }

    /// Whether the stream may end after it.
    pub(crate) const fn is_an_end(self) -> bool {
        !matches!(self, Self::Unfinished | Self::Unread)
    }
}

/// Tokens that a run took, of all models it called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokens {
    /// As `message_end` tells them.
    Split {
        /// Of prompts.
        input: u64,
        /// Of completions.
        output: u64,
    },
    /// As `workflow_finished` tells them, which knows the sum alone.
    Total(u64),
}

/// What a run's answer told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    /// How it ended.
    pub outcome: RunOutcome,
    /// What it took, as far as told. Dify tells web apps (`/api`) less than API clients.
    pub tokens: Option<Tokens>,
    /// How many tokens its answer seems to be, by its text, as far as that came.
    pub estimated_output: u64,
    /// The conversation that it belongs to.
    pub conversation: Option<String>,
    /// The workflow run.
    pub workflow_run: Option<String>,
    /// How many events came, pings left out. 0 for an answer in one piece.
    pub events: u64,
}
