//! Scripts, and the names that Redis knows them by.

/// A script, sent by its SHA-1 once Redis knows it.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub text: &'static str,
    pub sha1: String,
}

impl Script {
    pub fn new(text: &'static str) -> Self {
        Self {
            text,
            sha1: script_sha1(text),
        }
    }
}

/// The name of a script for `EVALSHA`.
pub fn script_sha1(text: &str) -> String {
    sha1_smol::Sha1::from(text).hexdigest()
}
