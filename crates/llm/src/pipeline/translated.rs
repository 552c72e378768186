//! What an answer in another dialect than the client's says: it has one choice, and is written anew.

use spillway_upstream::Failure;

use super::{Progress, StreamEvent, StreamPipeline};
use crate::said::ProviderError;
use spillway_tokens::weigh_text;

impl StreamPipeline {
    pub(super) fn read_translated(&mut self, event: &StreamEvent<'_>) -> Progress {
        match event {
            StreamEvent::Usage(usage) => {
                self.usage = Some(usage.counts());
                self.has_last_usage = self.is_finished();
                if self.wants_usage {
                    self.usage_chunk = self.encoder.usage(usage);
                }
                return Progress::Open;
            }
            StreamEvent::End(reason) => {
                let is_filtered = *reason == "content_filter";
                if self.minds_content_filter && is_filtered && !self.has_content {
                    return Progress::Failed(ProviderError::bare(Failure::ContentFilter(200)));
                }
                self.has_content = true;
                self.open_choices.remove(&0);
                self.ended_choices.insert(0);
            }
            StreamEvent::Text(text) | StreamEvent::Arguments { json: text, .. } => {
                self.says(text, !text.is_empty(), !text.is_empty());
            }
            StreamEvent::Thinking(text) => self.says(text, !text.is_empty(), false),
            StreamEvent::ToolCall { name, .. } => self.says(name, true, true),
            _ => {}
        }
        match self.encoder.encode(event) {
            Some(chunk) => self.write(&chunk),
            None => Progress::Open,
        }
    }

    /// What a translated answer, which has one choice, says.
    fn says(&mut self, text: &str, is_content: bool, is_answer: bool) {
        self.weight = self.weight.saturating_add(weigh_text(text));
        if is_content {
            self.has_content = true;
            self.has_answer |= is_answer;
            self.ended_choices.remove(&0);
            self.open_choices.insert(0);
        }
    }
}
