//! Text that is no YAML, or more of it than is taken: where, why, and what most often is behind it.

use saphyr_parser::ScanError;

use super::node::{Content, Position};

/// How deep mappings and lists may stand in one another. The deepest that means something is below 10.
pub(super) const MAX_DEPTH: usize = 64;

/// What makes reading on impossible.
pub(super) struct SyntaxMistake {
    pub position: Position,
    pub message: String,
}

impl SyntaxMistake {
    pub fn new(position: Position, message: impl Into<String>) -> Self {
        Self {
            position,
            message: message.into(),
        }
    }
}

/// Where a text ends.
pub(super) fn end_of(text: &str) -> Position {
    let line = text.matches('\n').count().saturating_add(1);
    let last = text.rsplit('\n').next().unwrap_or(text);
    Position {
        line,
        column: last.chars().count().saturating_add(1),
    }
}

pub(super) fn too_deep(position: Position) -> SyntaxMistake {
    SyntaxMistake::new(
        position,
        format!("more than {MAX_DEPTH} mappings and lists inside of one another"),
    )
}

/// What to say of a mapping's key that is no text.
pub(super) fn wrong_key(content: &Content) -> &'static str {
    match content {
        Content::Map(_) | Content::Dropped => {
            "a key must be text; if a `{{ name }}` is meant, put it in quotes: \"{{ name }}\""
        }
        Content::Null => "a key is missing before the `:`",
        _ => "a key must be text",
    }
}

/// The parser's message, and what most often is behind it.
pub(super) fn explained(error: &ScanError, text: &str) -> SyntaxMistake {
    let marker = error.marker();
    let last = end_of(text);
    // What is missing at the end the parser misses on a line after the last one.
    let position = if marker.line() > last.line {
        last
    } else {
        Position {
            line: marker.line().max(1),
            column: marker.col().saturating_add(1),
        }
    };
    let line = text
        .lines()
        .nth(position.line.saturating_sub(1))
        .unwrap_or_default();
    let info = error.info();
    if info.contains("recursion limit") {
        return too_deep(position);
    }
    let advice = if line.trim_start().starts_with("- {{") || line.contains(": {{") {
        "; put text that begins with `{{` in quotes"
    } else if line
        .chars()
        .take_while(|letter| letter.is_whitespace())
        .any(|letter| letter == '\t')
    {
        "; indent with spaces, not with tabs"
    } else if info.contains("quoted scalar") {
        "; is its closing quote missing?"
    } else if info.contains("mapping values are not allowed") {
        "; check the indentation, and put text with `: ` in it in quotes"
    } else if info.contains("simple key") {
        "; is a `:` missing, or a quote?"
    } else if info.contains("expected key")
        || info.contains("indentation")
        || info.contains("expected '-'")
    {
        "; check the indentation of this line and the ones above"
    } else {
        ""
    };
    SyntaxMistake::new(position, format!("this is not YAML: {info}{advice}"))
}
