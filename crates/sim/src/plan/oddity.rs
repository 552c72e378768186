//! What providers were seen to do that no specification has: see `docs/failover.md`.

/// What a provider does that speaks OpenAI's API, where it is asked for a chat; elsewhere it does well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    /// `finish_reason` is `stop` from the first piece on, and content goes on.
    StopsAllAlong,
    /// `data: null`, a comment and a word of its own stand between pieces.
    Chatter,
    /// Two events without an empty line between them.
    Glued,
    /// Usage comes with the piece that ends, and again in one of its own.
    UsageTwice,
    /// Half the content, and a `finish_reason` that means failure.
    FailingFinish,
    /// No content, and the same.
    FailingFinishAtOnce,
    /// Half the content, an error beside no choices, and the terminator as if nothing were.
    ErrorBesideChoices,
    /// 400, in words that say that the request is too long for the model.
    TooLong,
    /// 400, in words that say that the key is none.
    DeadKey,
    /// 400, in words that say that a filter stopped it.
    Filtered,
    /// 400, where the request asks for usage in its `stream_options`.
    RefusesStreamOptions,
    /// Somewhere else.
    Redirect,
}

impl Oddity {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::StopsAllAlong,
        Self::Chatter,
        Self::Glued,
        Self::UsageTwice,
        Self::FailingFinish,
        Self::FailingFinishAtOnce,
        Self::ErrorBesideChoices,
        Self::TooLong,
        Self::DeadKey,
        Self::Filtered,
        Self::RefusesStreamOptions,
        Self::Redirect,
    ];

    /// Whether a client that asks the provider itself has its whole answer.
    pub const fn is_harmless(self) -> bool {
        matches!(
            self,
            Self::StopsAllAlong | Self::Chatter | Self::Glued | Self::UsageTwice
        )
    }
}
