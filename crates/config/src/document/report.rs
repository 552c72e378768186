//! Collecting what is wrong with a document.

use std::fmt;

use super::node::{Node, Path, Position};

/// After so many reading stops: a file with more is not one that somebody corrects line by line.
const MAX_DIAGNOSTICS: usize = 100;

/// Something to be told about a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the document can be used all the same.
    pub severity: Severity,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// Which value is meant, such as `models[0].routes[2].targets`. Empty for the whole document.
    pub path: String,
    /// What is wrong and what to do about it. Without secrets.
    pub message: String,
}

/// Whether a document can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but hardly does what was meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

impl Diagnostic {
    /// As one line, `gateway.yaml:12:5: error: …`, that editors and terminals turn into a link.
    pub fn in_file<'a>(&'a self, file: &'a str) -> impl fmt::Display + 'a {
        InFile {
            file,
            diagnostic: self,
        }
    }
}

struct InFile<'a> {
    file: &'a str,
    diagnostic: &'a Diagnostic,
}

impl fmt::Display for InFile<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnostic {
            severity,
            line,
            column,
            message,
            ..
        } = self.diagnostic;
        write!(
            formatter,
            "{}:{line}:{column}: {severity}: {message}",
            self.file
        )
    }
}

/// What was found so far.
#[derive(Default)]
pub(super) struct Report {
    diagnostics: Vec<Diagnostic>,
    /// Whether parts of the document are missing from what was read.
    incomplete: bool,
}

impl Report {
    /// A mistake after which what was read is as good as meant.
    pub fn error_at(&mut self, position: Position, path: &Path, message: impl Into<String>) {
        self.add(Severity::Error, position, path, message.into());
    }

    /// A mistake after which a part is missing: what refers to that part cannot be judged.
    pub fn fatal(&mut self, position: Position, path: &Path, message: impl Into<String>) {
        self.incomplete = true;
        self.add(Severity::Error, position, path, message.into());
    }

    /// Another part is missing, for a mistake that was told already.
    pub fn leave_out(&mut self) {
        self.incomplete = true;
    }

    pub fn warning_at(&mut self, position: Position, path: &Path, message: impl Into<String>) {
        self.add(Severity::Warning, position, path, message.into());
    }

    /// Whether the checks that look at the whole would tell of mistakes that are none.
    pub fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    pub fn has_error(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    pub fn is_full(&self) -> bool {
        self.diagnostics.len() >= MAX_DIAGNOSTICS
    }

    /// In the order of the file; and whether an error is among them.
    pub fn finish(mut self) -> (Vec<Diagnostic>, bool) {
        self.diagnostics.sort_by(|left, right| {
            let key =
                |diagnostic: &Diagnostic| (diagnostic.line, diagnostic.column, diagnostic.severity);
            key(left)
                .cmp(&key(right))
                .then_with(|| left.message.cmp(&right.message))
        });
        // An alias has the same mistake in each place, told where its text stands.
        self.diagnostics.dedup_by(|left, right| {
            (left.line, left.column, &left.message) == (right.line, right.column, &right.message)
        });
        let has_error = self.has_error();
        (self.diagnostics, has_error)
    }

    fn add(&mut self, severity: Severity, position: Position, path: &Path, message: String) {
        if self.is_full() {
            return;
        }
        let Position { line, column } = position;
        self.diagnostics.push(Diagnostic {
            severity,
            line,
            column,
            path: path.to_string(),
            message,
        });
    }
}

/// A report together with the tree that tells positions.
pub(super) struct Findings<'a> {
    pub root: &'a Node,
    pub report: &'a mut Report,
}

impl Findings<'_> {
    pub fn error(&mut self, path: &Path, message: impl Into<String>) {
        if !self.report.is_full() {
            self.report
                .error_at(self.root.position_of(path), path, message);
        }
    }

    pub fn error_at_key(&mut self, path: &Path, message: impl Into<String>) {
        if !self.report.is_full() {
            self.report
                .error_at(self.root.position_of_key(path), path, message);
        }
    }

    pub fn warning(&mut self, path: &Path, message: impl Into<String>) {
        if !self.report.is_full() {
            self.report
                .warning_at(self.root.position_of(path), path, message);
        }
    }

    pub fn line(&self, path: &Path) -> usize {
        self.root.position_of(path).line
    }
}
