//! A call of a model.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::beginning_of;
use crate::fields::Fields;
use crate::{Counters, Family, Label};

/// How a call went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallDetail {
    /// The model as the client named it; empty where the call names none.
    pub model: String,
    /// Whether its answer was streamed.
    pub is_stream: bool,
    /// Tokens as the provider reported them, or as they were estimated.
    pub usage: Option<CallTokens>,
    /// From the call's arrival to its stream's first content.
    pub first_content: Option<Duration>,
    /// Every attempt in order.
    pub attempts: Vec<AttemptDetail>,
    /// Why nothing more was tried although more might have been.
    pub stopped_by: Option<&'static str>,
}

/// Tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallTokens {
    /// Of the prompt.
    pub input: u64,
    /// Of the completion.
    pub output: u64,
    /// Whether nobody told.
    pub is_estimated: bool,
}

/// One attempt and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptDetail {
    /// The provider's name.
    pub provider: Label,
    /// The model as the configuration names it; never what a client sent, which would have no end.
    pub model: Label,
    /// The endpoint: scheme, host and port. For the operator alone.
    pub endpoint: String,
    /// The credential's digest; `None`: none was sent.
    pub key: Option<String>,
    /// `ok`, the class of a failure, or a status.
    pub outcome: Cow<'static, str>,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
    /// The runtime's words, for the operator: they may hold addresses.
    pub detail: Option<String>,
}

impl CallDetail {
    pub(super) fn count(&self, name: &Label, consumer: Option<&Arc<str>>, counters: &mut Counters) {
        for attempt in &self.attempts {
            let [provider, model] = [attempt.provider.clone(), attempt.model.clone()];
            let labels = [
                name.clone(),
                provider,
                model,
                attempt.outcome.clone().into(),
            ];
            counters.add(Family::ModelAttempts, labels, 1);
        }
        if let Some(last) = self.attempts.last() {
            let labels = || [name.clone(), last.provider.clone(), last.model.clone()];
            if let Some(usage) = self.usage {
                let consumer = consumer.map_or(Label::NONE, |name| Arc::clone(name).into());
                let kinds = if usage.is_estimated {
                    ["input_estimated", "output_estimated"]
                } else {
                    ["input", "output"]
                };
                for (kind, amount) in kinds.into_iter().zip([usage.input, usage.output]) {
                    let [name, provider, model] = labels();
                    let labels = [name, provider, model, consumer.clone(), kind.into()];
                    counters.add(Family::ModelTokens, labels, amount);
                }
            }
            if let Some(first_content) = self.first_content {
                counters.observe(Family::ModelFirstToken, labels(), first_content);
            }
        }
        if let Some(why) = self.stopped_by {
            counters.add(Family::ModelRetriesRefused, [name.clone(), why.into()], 1);
        }
    }

    pub(super) fn write(&self, fields: &mut Fields) {
        fields.truth("stream", self.is_stream);
        if !self.model.is_empty() {
            fields.text("model", beginning_of(&self.model));
        }
        if let Some(usage) = self.usage {
            fields.number("input_tokens", usage.input);
            fields.number("output_tokens", usage.output);
            if usage.is_estimated {
                fields.truth("estimated", true);
            }
        }
        if let Some(first_content) = self.first_content {
            fields.number("first_token_ms", first_content.as_millis());
        }
        if let Some(why) = self.stopped_by {
            fields.word("stopped_by", why);
        }
        let head = |attempt: &AttemptDetail| format!("{}/{}", attempt.provider, attempt.model);
        fields.list("attempts", &self.attempts, head, |fields, attempt| {
            if fields.is_json() {
                fields.word("provider", attempt.provider.text().unwrap_or_default());
                fields.word("model", attempt.model.text().unwrap_or_default());
            }
            fields.word("at", &attempt.endpoint);
            fields.word("key", attempt.key.as_deref().unwrap_or("-"));
            fields.word("outcome", &attempt.outcome);
            fields.number("ms", attempt.milliseconds);
            if let Some(detail) = &attempt.detail {
                fields.text("detail", detail);
            }
        });
    }
}
