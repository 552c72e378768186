//! A document as a tree that knows where in the file each of its parts stands.

use std::fmt;

/// Where something begins, both from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub line: usize,
    pub column: usize,
}

impl Position {
    pub const START: Self = Self { line: 1, column: 1 };
}

/// A value and where it begins.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub position: Position,
    pub content: Content,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<NodeEntry>),
    /// Something wrong stood here and was reported. Reading goes on as if it were not there.
    Dropped,
}

/// A key of a mapping with its value.
#[derive(Debug, Clone)]
pub(super) struct NodeEntry {
    pub key: String,
    pub key_position: Position,
    pub value: Node,
}

impl Node {
    pub fn new(position: Position, content: Content) -> Self {
        Self { position, content }
    }

    pub fn is_dropped(&self) -> bool {
        matches!(self.content, Content::Dropped)
    }

    /// Whether it is a mapping with a part that was taken out.
    pub fn lacks_parts(&self) -> bool {
        match &self.content {
            Content::Map(entries) => entries.iter().any(|entry| entry.value.is_dropped()),
            _ => false,
        }
    }

    /// The entry of a mapping that has this key, dropped or not.
    pub fn entry(&self, key: &str) -> Option<&NodeEntry> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// Where the value at `path` begins, or what comes nearest: the innermost part of the path that is there.
    pub fn position_of(&self, path: &Path) -> Position {
        let mut node = self;
        for step in &path.0 {
            let Some(child) = node.child(step) else { break };
            node = child;
        }
        node.position
    }

    /// Where the last key of `path` stands.
    pub fn position_of_key(&self, path: &Path) -> Position {
        let (parent, key) = path.split_last();
        let entry = match key {
            Some(PathStep::Key(key)) => self.get(&parent).and_then(|node| node.entry(key)),
            _ => None,
        };
        entry.map_or_else(|| self.position_of(path), |entry| entry.key_position)
    }

    /// The value at `path`.
    pub fn get(&self, path: &Path) -> Option<&Self> {
        path.0.iter().try_fold(self, Self::child)
    }

    fn child(&self, step: &PathStep) -> Option<&Self> {
        match (step, &self.content) {
            (PathStep::Key(key), Content::Map(_)) => self.entry(key).map(|entry| &entry.value),
            (PathStep::Index(index), Content::List(nodes)) => nodes.get(*index),
            _ => None,
        }
    }

    /// The value at `path`, to be changed.
    pub fn get_mut(&mut self, path: &Path) -> Option<&mut Self> {
        path.0
            .iter()
            .try_fold(self, |node, step| match (step, &mut node.content) {
                (PathStep::Key(key), Content::Map(entries)) => entries
                    .iter_mut()
                    .find(|entry| entry.key == *key)
                    .map(|entry| &mut entry.value),
                (PathStep::Index(index), Content::List(nodes)) => nodes.get_mut(*index),
                _ => None,
            })
    }
}

/// How to come from the root to a value, shown as `models[0].routes[2].targets`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Path(Vec<PathStep>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PathStep {
    Key(String),
    Index(usize),
}

impl Path {
    /// From steps that were collected on the way from the value back to the root.
    pub fn from_innermost(mut steps: Vec<PathStep>) -> Self {
        steps.reverse();
        Self(steps)
    }

    /// The value under a key of this mapping.
    pub fn key(&self, key: &str) -> Self {
        self.with(PathStep::Key(key.to_owned()))
    }

    /// An item of this list, from 0.
    pub fn index(&self, index: usize) -> Self {
        self.with(PathStep::Index(index))
    }

    /// The path of the surrounding value, and the step from there.
    pub fn split_last(&self) -> (Self, Option<&PathStep>) {
        match self.0.split_last() {
            Some((last, rest)) => (Self(rest.to_vec()), Some(last)),
            None => (Self::default(), None),
        }
    }

    fn with(&self, step: PathStep) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                PathStep::Key(key) if index == 0 => write!(formatter, "{key}")?,
                PathStep::Key(key) => write!(formatter, ".{key}")?,
                PathStep::Index(item) => write!(formatter, "[{item}]")?,
            }
        }
        Ok(())
    }
}
