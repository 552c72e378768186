//! The scheme of an entry.

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scheme {
    Any,
    One(String),
}

impl Scheme {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "*" => Ok(Self::Any),
            _ if text.starts_with('{') => {
                Err("lists of schemes are not supported: write one entry for each")
            }
            _ if text.chars().all(char::is_alphabetic) => Ok(Self::One(text.to_owned())),
            _ => Err("a scheme has letters only"),
        }
    }

    pub(super) fn allows(&self, scheme: &str) -> bool {
        match self {
            Self::Any => true,
            Self::One(one) => one == scheme,
        }
    }
}
