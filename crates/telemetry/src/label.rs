//! A label's value.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// A label's value: a copy costs next to nothing, and no text is made before a series is written.
#[derive(Debug, Clone)]
pub enum Label {
    /// Known when the gateway was built.
    Static(&'static str),
    /// Of the configuration, or a digest.
    Shared(Arc<str>),
    /// A status.
    Number(u16),
}

impl Label {
    /// No value.
    pub const NONE: Self = Self::Static("");

    /// The text; `None` for a number.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Static(text) => Some(text),
            Self::Shared(text) => Some(text),
            Self::Number(_) => None,
        }
    }

    /// Whether it has no value.
    pub fn is_empty(&self) -> bool {
        self.text() == Some("")
    }
}

impl Default for Label {
    fn default() -> Self {
        Self::NONE
    }
}

impl Ord for Label {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => one.cmp(other),
            _ => self.text().cmp(&other.text()),
        }
    }
}

impl PartialOrd for Label {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Label {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Label {}

impl fmt::Display for Label {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(formatter, "{number}"),
            Self::Static(text) => formatter.write_str(text),
            Self::Shared(text) => formatter.write_str(text),
        }
    }
}

impl From<&'static str> for Label {
    fn from(text: &'static str) -> Self {
        Self::Static(text)
    }
}

impl From<Arc<str>> for Label {
    fn from(text: Arc<str>) -> Self {
        Self::Shared(text)
    }
}

impl From<String> for Label {
    fn from(text: String) -> Self {
        Self::Shared(text.into())
    }
}

impl From<Cow<'static, str>> for Label {
    fn from(text: Cow<'static, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Self::Static(text),
            Cow::Owned(text) => text.into(),
        }
    }
}

impl From<u16> for Label {
    fn from(number: u16) -> Self {
        Self::Number(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_equal_wherever_they_are_kept() {
        assert_eq!(Label::Static("a"), Label::from("a".to_owned()));
        assert_ne!(Label::Number(1), Label::Static("1"));
        assert!(Label::NONE.is_empty() && !Label::Number(0).is_empty());
    }
}
