//! Tokens and ends, in OpenAI's words.

use serde::{Deserialize, Serialize};

/// Anthropic's counts: those of a stream's end take the place of those of its beginning, as far as they are there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Counts {
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

/// OpenAI's `usage`. The counts of the cache have LiteLLM's names, which many clients know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct OpenAiUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion_tokens_details: Option<CompletionDetails>,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct PromptDetails {
    cached_tokens: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
}

impl Counts {
    pub fn updated_by(self, later: Self) -> Self {
        Self {
            input_tokens: later.input_tokens.or(self.input_tokens),
            cache_creation_input_tokens: later
                .cache_creation_input_tokens
                .or(self.cache_creation_input_tokens),
            cache_read_input_tokens: later
                .cache_read_input_tokens
                .or(self.cache_read_input_tokens),
            output_tokens: later.output_tokens.or(self.output_tokens),
            output_tokens_details: later.output_tokens_details.or(self.output_tokens_details),
        }
    }

    /// All tokens of the prompt are its sum: Anthropic's `input_tokens` are those that no cache had.
    pub fn as_openai(self) -> OpenAiUsage {
        let cache_creation_input_tokens = self.cache_creation_input_tokens.unwrap_or_default();
        let cached_tokens = self.cache_read_input_tokens.unwrap_or_default();
        let prompt_tokens = self
            .input_tokens
            .unwrap_or_default()
            .saturating_add(cache_creation_input_tokens)
            .saturating_add(cached_tokens);
        let completion_tokens = self.output_tokens.unwrap_or_default();
        let thought = self.output_tokens_details.and_then(|it| it.thinking_tokens);
        OpenAiUsage {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens.saturating_add(completion_tokens),
            prompt_tokens_details: PromptDetails { cached_tokens },
            completion_tokens_details: thought
                .map(|reasoning_tokens| CompletionDetails { reasoning_tokens }),
            cache_creation_input_tokens,
            cache_read_input_tokens: cached_tokens,
        }
    }
}

impl OpenAiUsage {
    /// As the gateway counts.
    pub fn counts(&self) -> crate::Usage {
        crate::Usage {
            input: self.prompt_tokens,
            output: self.completion_tokens,
        }
    }
}

/// OpenAI's `finish_reason` for Anthropic's `stop_reason`.
pub(super) fn finish_reason(stop_reason: &str) -> &'static str {
    match stop_reason {
        "max_tokens" | "model_context_window_exceeded" => "length",
        "tool_use" => "tool_calls",
        "refusal" => "content_filter",
        // `end_turn`, `stop_sequence`, `pause_turn`, and what comes later.
        _ => "stop",
    }
}
