//! Reading a TOML file so that every complaint has the form `file:line:column: error: …`.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// A TOML file and its text, kept for turning positions into lines and columns.
#[derive(Debug)]
pub struct TomlDocument {
    path: PathBuf,
    text: String,
}

/// What is wrong with a file, and where.
#[derive(Debug, thiserror::Error)]
#[error("{}:{line}:{column}: error: {message}", .path.display())]
pub struct DocumentError {
    path: PathBuf,
    line: usize,
    column: usize,
    message: String,
}

impl TomlDocument {
    /// Takes a text that was read from `path`.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
        }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read as UTF-8 text; the message names the file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| anyhow::anyhow!("{} cannot be read: {error}", path.display()))?;
        Ok(Self::new(path, text))
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Turns the document into `T`; a key that `T` does not have is an error.
    ///
    /// # Errors
    /// The first mistake, with its line and column.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, DocumentError> {
        toml::from_str(&self.text)
            .map_err(|error| self.error(error.span(), error.message().to_owned()))
    }

    /// A complaint about the bytes at `span`, or about the file as a whole.
    pub fn error(&self, span: Option<Range<usize>>, message: impl Into<String>) -> DocumentError {
        let offset = span.map_or(0, |span| span.start);
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
        let in_line = before.get(line_start..).unwrap_or_default();
        DocumentError {
            path: self.path.clone(),
            line: before.matches('\n').count().saturating_add(1),
            column: in_line.chars().count().saturating_add(1),
            message: message.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Fruit {
        #[expect(dead_code, reason = "only parsed")]
        name: String,
    }

    #[test]
    fn an_unknown_key_is_named_with_its_position() {
        let document = TomlDocument::new("fruit.toml", "name = \"pear\"\n  colour = \"green\"\n");
        let message = document.parse::<Fruit>().unwrap_err().to_string();
        assert!(
            message.starts_with("fruit.toml:2:3: error: unknown field `colour`"),
            "{message}"
        );
    }

    #[test]
    fn columns_count_characters() {
        let document = TomlDocument::new("fruit.toml", "name = \"äöü\"; x");
        let message = document.parse::<Fruit>().unwrap_err().to_string();
        assert!(message.starts_with("fruit.toml:1:13: error:"), "{message}");
    }
}
