//! Which names of models are meant.

use spillway_pattern::Pattern;
use wildmatch::WildMatch;

/// What begins a pattern that is a regular expression.
const REGEXP: &str = "regexp:";

/// A name, a pattern with `*` or `?`, or a regular expression.
#[derive(Debug, Clone)]
pub struct ModelPattern {
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Name,
    Glob(WildMatch),
    Regexp(Pattern),
}

impl ModelPattern {
    /// Reads a pattern; the text that is no regular expression, as the error.
    ///
    /// # Errors
    /// A regular expression that is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let kind = match text.strip_prefix(REGEXP) {
            Some(expression) => {
                Kind::Regexp(Pattern::new(expression).map_err(|_| text.to_owned())?)
            }
            None if text.contains(['*', '?']) => Kind::Glob(WildMatch::new(text)),
            None => Kind::Name,
        };
        Ok(Self {
            text: text.to_owned(),
            kind,
        })
    }

    /// Whether a name is meant.
    pub fn matches(&self, model: &str) -> bool {
        match &self.kind {
            Kind::Name => self.text == model,
            Kind::Glob(glob) => glob.matches(model),
            Kind::Regexp(expression) => expression.is_match(model),
        }
    }

    /// The name, where the pattern is one.
    pub fn name(&self) -> Option<&str> {
        matches!(self.kind, Kind::Name).then_some(self.text.as_str())
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Names before patterns, longer patterns before shorter.
    pub(crate) fn rank(&self) -> (u8, usize) {
        match self.kind {
            Kind::Name => (0, 0),
            Kind::Glob(_) => (1, usize::MAX.saturating_sub(self.text.len())),
            Kind::Regexp(_) => (2, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_globs_and_expressions() {
        for (pattern, model, expected) in [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-4o*", "gpt-4o-mini", true),
            ("*", "", true),
            ("gpt-?o", "gpt-4o", true),
            ("regexp:^qwen[0-9]", "qwen2.5", true),
            ("regexp:^qwen[0-9]", "my-qwen2.5", false),
            ("regexp:mini", "gpt-4o-mini-1", true),
        ] {
            let pattern_read = ModelPattern::parse(pattern).unwrap();
            assert_eq!(pattern_read.matches(model), expected, "{pattern} {model}");
        }
        assert_eq!(
            ModelPattern::parse("regexp:(").err().as_deref(),
            Some("regexp:(")
        );
    }
}
