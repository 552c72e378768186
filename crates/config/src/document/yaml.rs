//! YAML text to a tree with positions. Bounded in size, depth and what aliases make of it.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::node::{Content, Node, NodeEntry, Path, Position};
use super::report::Report;
use super::scalar;
use super::syntax::{MAX_DEPTH, SyntaxMistake, end_of, explained, too_deep, wrong_key};
use crate::error::shortened;

/// The largest file, in bytes.
const MAX_TEXT_BYTES: usize = 1 << 20;
/// The largest tree: the bytes of its texts, and `NODE_WEIGHT` for each value and key. No sensible file without
/// aliases comes near it.
const MAX_TREE_BYTES: usize = 16 << 20;
const NODE_WEIGHT: usize = 16;

/// Reads the one document of `text`. Mistakes after which reading can go on are added to `report`; `None` after
/// others.
pub(super) fn parse(text: &str, report: &mut Report) -> Option<Node> {
    match build(text, report) {
        Ok(node) => Some(node),
        Err(SyntaxMistake { position, message }) => {
            report.fatal(position, &Path::default(), message);
            None
        }
    }
}

fn build(text: &str, report: &mut Report) -> Result<Node, SyntaxMistake> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(SyntaxMistake::new(
            Position::START,
            "the file has more than 1 MiB",
        ));
    }
    let text = text
        .strip_prefix('\u{feff}')
        .unwrap_or(text)
        .replace("\r\n", "\n")
        .replace('\r', "\n");
    let text = text.as_str();
    if let Some((before, _)) = text.split_once('\0') {
        return Err(SyntaxMistake::new(
            end_of(before),
            "a NUL character: save the file as UTF-8 text",
        ));
    }
    let mut builder = Builder {
        report,
        frames: Vec::new(),
        anchors: HashMap::new(),
        spent: 0,
        root: None,
    };
    let mut documents: u8 = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| explained(&error, text))?;
        if matches!(event, Event::DocumentStart(_)) {
            documents = documents.saturating_add(1);
            if documents > 1 {
                return Err(SyntaxMistake::new(
                    begin(span),
                    "a second document: remove the line `---`",
                ));
            }
        }
        builder.event(event, begin(span))?;
    }
    // A file of comments alone has no value at all.
    Ok(builder
        .root
        .unwrap_or_else(|| Node::new(Position::START, Content::Map(Vec::new()))))
}

fn begin(span: Span) -> Position {
    Position {
        line: span.start.line().max(1),
        column: span.start.col().saturating_add(1),
    }
}

/// A mapping or list whose end has not come.
struct Frame {
    position: Position,
    anchor: usize,
    /// How much of the tree was spent before it.
    spent_before: usize,
    /// How deep values stand inside of it.
    height: usize,
    contents: Contents,
}

enum Contents {
    List(Vec<Node>),
    Map {
        entries: Vec<NodeEntry>,
        /// The lines of the keys so far.
        lines: HashMap<String, usize>,
        key: Option<Key>,
        /// Whether a key was no text, which is reported and leaves the mapping without meaning.
        broken: bool,
    },
}

/// What stood before the colon.
enum Key {
    Text(String, Position),
    Wrong,
}

/// What an alias stands for.
struct Anchored {
    node: Node,
    weight: usize,
    height: usize,
}

struct Builder<'r> {
    report: &'r mut Report,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Anchored>,
    spent: usize,
    root: Option<Node>,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, position: Position) -> Result<(), SyntaxMistake> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), position);
                let spent_before = self.spent;
                self.spend(text.len().saturating_add(NODE_WEIGHT), position)?;
                let content = match style {
                    ScalarStyle::Plain => scalar::resolve(&text),
                    _ => Content::Text(text.into_owned()),
                };
                self.finish(Node::new(position, content), anchor, spent_before, 0)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), position);
                self.open(position, anchor, Contents::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), position);
                let (entries, lines) = (Vec::new(), HashMap::new());
                self.open(
                    position,
                    anchor,
                    Contents::Map {
                        entries,
                        lines,
                        key: None,
                        broken: false,
                    },
                )
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => {
                let Some(Anchored {
                    node,
                    weight,
                    height,
                }) = self.anchors.get(&anchor)
                else {
                    return Err(SyntaxMistake::new(
                        position,
                        "this alias stands inside of what it stands for",
                    ));
                };
                let (weight, height) = (*weight, *height);
                if self.frames.len().saturating_add(height) > MAX_DEPTH {
                    return Err(too_deep(position));
                }
                // Before the copy is made, as the copies are what can get out of hand.
                let node = node.clone();
                let spent_before = self.spent;
                self.spend(weight, position)?;
                self.finish(node, 0, spent_before, height)
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(
        &mut self,
        position: Position,
        anchor: usize,
        contents: Contents,
    ) -> Result<(), SyntaxMistake> {
        if self.frames.len() >= MAX_DEPTH {
            return Err(too_deep(position));
        }
        let spent_before = self.spent;
        self.spend(NODE_WEIGHT, position)?;
        self.frames.push(Frame {
            position,
            anchor,
            spent_before,
            height: 0,
            contents,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), SyntaxMistake> {
        let Some(frame) = self.frames.pop() else {
            return Ok(());
        };
        let content = match frame.contents {
            Contents::List(nodes) => Content::List(nodes),
            Contents::Map { broken: true, .. } => Content::Dropped,
            Contents::Map { entries, .. } => Content::Map(entries),
        };
        let node = Node::new(frame.position, content);
        self.finish(
            node,
            frame.anchor,
            frame.spent_before,
            frame.height.saturating_add(1),
        )
    }

    /// Puts a complete value where it belongs.
    fn finish(
        &mut self,
        node: Node,
        anchor: usize,
        spent_before: usize,
        height: usize,
    ) -> Result<(), SyntaxMistake> {
        if anchor != 0 {
            let weight = self.spent.saturating_sub(spent_before);
            self.spend(weight, node.position)?;
            self.anchors.insert(
                anchor,
                Anchored {
                    node: node.clone(),
                    weight,
                    height,
                },
            );
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.height = frame.height.max(height);
        match &mut frame.contents {
            Contents::List(nodes) => nodes.push(node),
            Contents::Map {
                entries,
                lines,
                key,
                broken,
            } => match key.take() {
                None => {
                    let text = scalar::key_text(&node.content);
                    if text.is_none() && !*broken {
                        *broken = true;
                        self.report.fatal(
                            frame.position,
                            &Path::default(),
                            wrong_key(&node.content),
                        );
                    }
                    *key = Some(text.map_or(Key::Wrong, |text| Key::Text(text, node.position)));
                }
                Some(Key::Wrong) => {}
                Some(Key::Text(key, key_position)) => match lines.get(&key) {
                    None => {
                        lines.insert(key.clone(), key_position.line);
                        entries.push(NodeEntry {
                            key,
                            key_position,
                            value: node,
                        });
                    }
                    Some(line) => {
                        let key = shortened(&key);
                        let message =
                            format!("the key `{key}` was given in line {line} already: remove one");
                        self.report
                            .error_at(key_position, &Path::default(), message);
                    }
                },
            },
        }
        Ok(())
    }

    fn refuse_tag(&mut self, tagged: bool, position: Position) {
        if tagged {
            self.report.error_at(
                position,
                &Path::default(),
                "YAML tags (`!…`) mean nothing here: remove it",
            );
        }
    }

    fn spend(&mut self, weight: usize, position: Position) -> Result<(), SyntaxMistake> {
        self.spent = self.spent.saturating_add(weight);
        if self.spent > MAX_TREE_BYTES {
            return Err(SyntaxMistake::new(
                position,
                "the aliases up to here make the document too large: write less of it with `*`",
            ));
        }
        Ok(())
    }
}
