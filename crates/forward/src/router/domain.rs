//! Host names that reach an API.

/// A host name, or all below one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Domain {
    Name(String),
    /// Below this suffix, which begins with a dot.
    Below(String),
}

/// How narrowly a domain list fits a host; a greater one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    Any,
    Wildcard(usize),
    Name,
}

impl Domain {
    pub fn new(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        match text.strip_prefix('*') {
            Some(suffix) => Self::Below(suffix.to_owned()),
            None => Self::Name(text),
        }
    }

    pub fn fit(&self, host: &str) -> Option<Fit> {
        match self {
            Self::Name(name) => (name == host).then_some(Fit::Name),
            Self::Below(suffix) => (host.len() > suffix.len() && host.ends_with(suffix.as_str()))
                .then_some(Fit::Wildcard(suffix.len())),
        }
    }
}
