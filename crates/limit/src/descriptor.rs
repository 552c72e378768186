//! What a limit counts, in words for whoever looks at limits: no secret of the configuration, and nothing of a person.

use serde::{Deserialize, Serialize};
use spillway_config::Source;
use spillway_platform::{Charge, LIMIT_KEY_PREFIX, Mode};

use crate::Rule;
use crate::facts::Value;

/// So much of what stands in the store for a value is told.
const DIGEST_LETTERS: usize = 12;

/// No text is told beyond this, in letters.
const MAX_LETTERS: usize = 100;

/// Whose requests a charge counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Descriptor<'r> {
    /// The item, such as `limit_by_per_header x-app-id`; `None`: all requests together.
    pub item: Option<&'r str>,
    pub value: DescriptorValue,
}

/// Which of its values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum DescriptorValue {
    /// There is none.
    #[default]
    Nothing,
    /// A name, or what the configuration says that values are like.
    Text(String),
    /// What nobody shall read: it is told as it stands in the store.
    Digest,
}

impl DescriptorValue {
    /// All values that a key of the configuration matches, which is a pattern, or a name.
    pub fn of_key(key: &str) -> Self {
        Self::text(key)
    }

    /// One value, of a request or of the configuration.
    pub fn of_value(source: Source, value: &Value<'_>) -> Self {
        match value {
            Value::DifyApp(app) => Self::Text(app.label()),
            Value::Text(text) if is_name(source) => Self::text(text),
            Value::Text(_) | Value::Address(_) => Self::Digest,
        }
    }

    /// Of a text that a client may have sent: no letter of it moves a terminal's cursor.
    fn text(text: &str) -> Self {
        let letters = text.chars().take(MAX_LETTERS);
        let shown = |letter: char| {
            if letter.is_control() {
                '\u{fffd}'
            } else {
                letter
            }
        };
        Self::Text(letters.map(shown).collect())
    }
}

/// Whether values are names that the operator gave, or that say nothing of a person.
const fn is_name(source: Source) -> bool {
    match source {
        Source::Consumer | Source::Model | Source::Route | Source::Service | Source::Address => {
            true
        }
        Source::Header | Source::Param | Source::Cookie | Source::DifyApp | Source::EndUser => {
            false
        }
    }
}

/// What a limit counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Requests in a window.
    Requests,
    /// Tokens in a window.
    Tokens,
    /// Requests in flight.
    ConcurrentRequests,
}

/// One limit of one value, as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitDescription {
    /// Kind and name of the API: `model/llm`.
    pub api: String,
    /// The rule's name.
    pub rule: String,
    /// The item, such as `limit_by_per_header x-app-id`; none where all requests count together.
    pub by: Option<String>,
    /// Which of its values.
    pub value: Option<String>,
    /// What is counted.
    pub unit: Unit,
    /// In how many milliseconds; of what is in flight, none.
    pub window_ms: Option<u64>,
    /// How much there may be.
    pub limit: u64,
    /// Whether the rule only counts.
    pub dry_run: bool,
}

impl LimitDescription {
    pub(crate) fn new(
        api: &str,
        rule: &Rule,
        descriptor: &Descriptor<'_>,
        charge: &Charge,
    ) -> Self {
        let value = match &descriptor.value {
            DescriptorValue::Nothing => None,
            DescriptorValue::Text(text) => Some(text.clone()),
            DescriptorValue::Digest => {
                let name = charge.key.strip_prefix(LIMIT_KEY_PREFIX);
                name.map(|name| name.chars().take(DIGEST_LETTERS).collect())
            }
        };
        let unit = match (charge.mode, rule.tokens) {
            (Mode::InFlight, _) => Unit::ConcurrentRequests,
            (_, Some(_)) => Unit::Tokens,
            (_, None) => Unit::Requests,
        };
        Self {
            api: api.to_owned(),
            rule: rule.name.clone(),
            by: descriptor.item.map(str::to_owned),
            value,
            unit,
            window_ms: charge.window_ms(),
            limit: charge.limit,
            dry_run: charge.dry_run,
        }
    }

    /// To be read where it stands, under this key of the store.
    pub fn charge(&self, key: &str) -> Charge {
        let window_ms = self.window_ms.unwrap_or(1).max(1);
        let mode = match self.unit {
            Unit::ConcurrentRequests => Mode::InFlight,
            Unit::Tokens => Mode::Reserve {
                window_ms,
                cost_when_new: 0,
            },
            Unit::Requests => Mode::Count {
                window_ms,
                cost_when_new: 0,
            },
        };
        Charge {
            key: key.to_owned(),
            cost: 0,
            limit: self.limit,
            mode,
            dry_run: self.dry_run,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_and_what_is_a_persons_or_a_secret_is_not() {
        let user = Value::Text("ann".into());
        let told = |source, value| DescriptorValue::of_value(source, value);
        assert_eq!(told(Source::EndUser, &user), DescriptorValue::Digest);
        assert_eq!(told(Source::Header, &user), DescriptorValue::Digest);
        let text = |text: &str| DescriptorValue::Text(text.to_owned());
        assert_eq!(told(Source::Consumer, &user), text("ann"));
        let forged = Value::Text("m\nmodel/llm \u{1b}[2J".into());
        let shown = text("m\u{fffd}model/llm \u{fffd}[2J");
        assert_eq!(told(Source::Model, &forged), shown);
        let long = "x".repeat(1_000);
        assert_eq!(
            DescriptorValue::of_key(&long),
            text(&"x".repeat(MAX_LETTERS))
        );
    }
}
