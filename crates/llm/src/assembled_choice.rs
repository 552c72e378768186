//! One choice of an answer, put together from the pieces of it.
//!
//! **Rule.** Text goes on where it is text that was there, lists likewise, `null` says nothing, anything else is taken as
//! it last came. A piece of a tool call belongs to the call of its `index`; without one to the call of its `id`; without
//! either to the last. Another `id` is another call, whatever its index: some engines number every call 0.

use serde_json::{Map, Value};

use crate::nesting::Nesting;

/// More choices or tool calls than any provider gives.
pub(crate) const MAX_PARTS: usize = 1024;

/// What is told once and for all, though some engines tell it with every piece.
const NAMES: [&str; 5] = ["role", "id", "type", "name", "object"];

/// A choice so far.
#[derive(Debug, Default)]
pub(crate) struct AssembledChoice {
    /// The message, or the members of a text completion's choice.
    said: Map<String, Value>,
    tool_calls: Vec<ToolCall>,
    /// Members of the choice itself.
    beside: Map<String, Value>,
    is_chat: bool,
    finish_reason: Option<Value>,
    has_ended: bool,
    has_said: bool,
}

#[derive(Debug)]
struct ToolCall {
    index: Option<i64>,
    members: Map<String, Value>,
    arguments: Nesting,
}

impl AssembledChoice {
    pub(crate) fn is_chat(&self) -> bool {
        self.is_chat
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Takes the next piece.
    pub(crate) fn take(&mut self, mut choice: Map<String, Value>) {
        let reason = choice.remove("finish_reason").filter(is_reason);
        let mut says = false;
        let [delta, message] = ["delta", "message"].map(|place| match choice.remove(place) {
            Some(Value::Object(piece)) => Some(piece),
            _ => None,
        });
        let is_silent = |piece: &Map<String, Value>| !piece.iter().any(says_more);
        let piece = match (delta, message) {
            // Who writes both says the same twice.
            (Some(delta), Some(message)) if is_silent(&delta) && !self.has_said => {
                Some(merged(delta, message))
            }
            (Some(delta), _) => Some(delta),
            (None, message) => message,
        };
        if let Some(piece) = piece {
            self.is_chat = true;
            says |= self.read_delta(piece);
        }
        if let Some(text @ Value::String(_)) = choice.remove("text") {
            says |= is_said(&text);
            append(&mut self.said, "text", text);
        }
        for (name, value) in choice {
            match value {
                Value::Null => {}
                Value::Object(more) if name == "logprobs" => {
                    merge_member(&mut self.beside, &name, more)
                }
                value => {
                    self.beside.insert(name, value);
                }
            }
        }
        self.has_said |= says;
        if reason.is_some() {
            self.finish_reason = reason;
            self.has_ended = true;
        } else if says {
            self.has_ended = false;
        }
    }

    fn read_delta(&mut self, delta: Map<String, Value>) -> bool {
        let mut says = false;
        for (name, value) in delta {
            says |= says_more((&name, &value));
            match (name.as_str(), value) {
                ("tool_calls", Value::Array(calls)) => {
                    for call in calls {
                        self.read_tool_call(call);
                    }
                }
                ("function_call" | "audio", Value::Object(more)) => {
                    merge_member(&mut self.said, &name, more);
                }
                (_, value) => append(&mut self.said, &name, value),
            }
        }
        says
    }

    fn read_tool_call(&mut self, call: Value) {
        let Value::Object(mut call) = call else {
            return;
        };
        let index = call.remove("index").as_ref().and_then(number);
        let id = call
            .get("id")
            .and_then(Value::as_str)
            .filter(|id| !id.is_empty());
        let place = match index {
            Some(_) => self.tool_calls.iter().rposition(|own| own.index == index),
            None => self.tool_calls.len().checked_sub(1),
        };
        let has_room = self.tool_calls.len() < MAX_PARTS;
        let own = place.and_then(|place| self.tool_calls.get_mut(place));
        match own.filter(|own| own.matches(id, index, &call)) {
            Some(own) => own.take(call),
            None if !has_room => {}
            None => {
                let mut own = ToolCall {
                    index,
                    members: Map::new(),
                    arguments: Nesting::default(),
                };
                own.take(call);
                self.tool_calls.push(own);
            }
        }
    }

    pub(crate) fn into_value(self, index: i64) -> Value {
        let mut choice = Map::new();
        choice.insert("index".to_owned(), index.into());
        if self.is_chat {
            let mut message = self.said;
            message.entry("role").or_insert_with(|| "assistant".into());
            // Clients want the member even where there is no text.
            message.entry("content").or_insert(Value::Null);
            if !self.tool_calls.is_empty() {
                let mut calls = self.tool_calls;
                calls.sort_by_key(|call| call.index);
                let calls = calls.into_iter().map(|call| Value::Object(call.members));
                message.insert("tool_calls".to_owned(), calls.collect());
            }
            choice.insert("message".to_owned(), Value::Object(message));
        } else {
            choice.extend(self.said);
        }
        choice.extend(self.beside);
        choice.insert(
            "finish_reason".to_owned(),
            self.finish_reason.unwrap_or_else(|| "stop".into()),
        );
        Value::Object(choice)
    }
}

impl ToolCall {
    fn take(&mut self, piece: Map<String, Value>) {
        let arguments = piece.get("function").and_then(|it| it.get("arguments"));
        if let Some(Value::String(arguments)) = arguments {
            self.arguments.follow(arguments);
        }
        merge(&mut self.members, piece);
    }

    /// Whether a piece goes on with this call.
    fn matches(&self, id: Option<&str>, index: Option<i64>, piece: &Map<String, Value>) -> bool {
        let own = self
            .members
            .get("id")
            .and_then(Value::as_str)
            .filter(|own| !own.is_empty());
        match (own, id) {
            (Some(own), Some(id)) => own == id,
            (None, Some(_)) if index.is_none() => self.members.is_empty(),
            _ if index.is_some() => true,
            _ => !(self.arguments.is_whole() && piece.get("function").is_some_and(is_named)),
        }
    }
}

fn is_named(function: &Value) -> bool {
    function.get("name").is_some_and(is_said)
}

/// Whether a member of a piece says more than whose words these are.
fn says_more((name, value): (&String, &Value)) -> bool {
    name != "role" && is_said(value)
}

fn merged(mut members: Map<String, Value>, more: Map<String, Value>) -> Map<String, Value> {
    merge(&mut members, more);
    members
}

/// Puts an object's further members to those that came before.
fn merge(members: &mut Map<String, Value>, more: Map<String, Value>) {
    for (name, value) in more {
        match value {
            Value::Object(inner) if !inner.is_empty() => merge_member(members, &name, inner),
            value => append(members, &name, value),
        }
    }
}

fn merge_member(members: &mut Map<String, Value>, name: &str, more: Map<String, Value>) {
    let place = members.entry(name).or_insert(Value::Null);
    let mut own = match place.take() {
        Value::Object(own) => own,
        _ => Map::new(),
    };
    merge(&mut own, more);
    *place = Value::Object(own);
}

fn append(members: &mut Map<String, Value>, name: &str, value: Value) {
    let is_name = NAMES.contains(&name);
    match (members.get_mut(name), value) {
        (Some(_), Value::Null) => {}
        (Some(Value::String(own)), Value::String(_)) if is_name && !own.is_empty() => {}
        (Some(Value::String(text)), Value::String(more)) => text.push_str(&more),
        (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
        (_, Value::Null) => {}
        (_, value) => {
            members.insert(name.to_owned(), value);
        }
    }
}

fn is_said(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(object) => !object.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

fn is_reason(reason: &Value) -> bool {
    is_said(reason) && !matches!(reason.as_str(), Some("null" | "None" | "undefined"))
}

/// A number, also one that is written as text or with a fraction.
pub(crate) fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => {
            #[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
            let whole = |number: f64| number as i64;
            number.as_i64().or_else(|| number.as_f64().map(whole))
        }
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
