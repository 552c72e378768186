//! Regular expressions as operators write them: RE2's, which Envoy, Higress and Go read. It must not know what they are
//! held against.
//!
//! **Rule.** The engine is the crate `regex`: linear time, no look-around, no back-references. As in RE2 `\d`, `\w`, `\s`
//! and `\b` know ASCII alone, and `\p{Han}` scripts and other properties. **Cost.** A text of *n* bytes takes time in
//! *n*; an expression's program is bounded, as each instance of a component compiles it when it starts. **Failure.**
//! What is too long or too large is refused by whoever reads the configuration, and by the component in the same words,
//! as both use this type.

mod ascii;

use regex::{Regex, RegexBuilder};

/// The longest expression, in bytes.
pub const MAX_BYTES: usize = 4096;

/// How much memory a compiled expression may take, in bytes: `\w{1,500}` or `\p{Han}{1,50}` and no more. It compiles in
/// a few milliseconds.
const MAX_PROGRAM_BYTES: usize = 256 * 1024;

/// How much memory the states may take that are made while a text is read.
const MAX_CACHE_BYTES: usize = 256 * 1024;

/// How deep groups and classes may nest.
const MAX_NESTING: u32 = 50;

/// Why a text is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is longer than [`MAX_BYTES`].
    #[error("longer than 4096 bytes")]
    TooLong,
    /// It stands for more than may be.
    #[error("it stands for too many states: write smaller counts, or fewer")]
    TooLarge,
    /// It is not written as one; what is wrong, in English, without the text.
    #[error("{0}")]
    Wrong(String),
}

/// A regular expression, found anywhere in a text unless `^` and `$` stand there.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Reads one.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn new(text: &str) -> Result<Self, PatternError> {
        if text.len() > MAX_BYTES {
            return Err(PatternError::TooLong);
        }
        let mut builder = RegexBuilder::new(&ascii::with_ascii_classes(text));
        builder
            .size_limit(MAX_PROGRAM_BYTES)
            .dfa_size_limit(MAX_CACHE_BYTES)
            .nest_limit(MAX_NESTING);
        builder.build().map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => PatternError::TooLarge,
            error => PatternError::Wrong(in_words(&error.to_string())),
        })
    }

    /// Whether it is found.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// The last line; those before show the place within the expression.
fn in_words(error: &str) -> String {
    let last = error.lines().last().unwrap_or_default();
    let what = last.strip_prefix("error: ").unwrap_or(last);
    what.to_owned()
}
