//! What of a request is sent on.

use bytes::Bytes;
use serde_json::Value;

use super::others::OTHERS;
use super::{ModelRequest, is_misspelt, read_small};

/// What the model is called where a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelThere<'a> {
    /// As the client calls it.
    AsAsked,
    /// As the target's configuration says. Other models that the client would have taken instead are left out then.
    Configured(&'a str),
}

/// How a stream's `stream_options` are sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamOptionsSent {
    /// With the usage chunk asked for.
    WithUsage,
    /// As the client has them, unless they say nothing.
    AsAsked,
    /// Not at all: the provider refuses them, and tells its usage unasked.
    LeftOut,
}

impl<'a> ModelThere<'a> {
    /// What it is called there, by what the client calls it.
    pub(crate) fn name(self, asked: &'a str) -> &'a str {
        match self {
            Self::AsAsked => asked,
            Self::Configured(name) => name,
        }
    }
}

impl ModelRequest {
    /// Whether the client itself says how to stream.
    pub(crate) fn has_stream_options(&self) -> bool {
        let own = self.member("stream_options");
        own.is_some_and(|own| !matches!(own.as_ref(), b"null" | b"{}"))
    }

    /// The body to send, with the target's model name.
    pub fn body_for(&self, model: ModelThere<'_>, stream_options: StreamOptionsSent) -> Vec<u8> {
        let asks_usage = self.stream && stream_options == StreamOptionsSent::WithUsage;
        let leaves_out = match stream_options {
            StreamOptionsSent::WithUsage => false,
            StreamOptionsSent::AsAsked => !self.has_stream_options(),
            StreamOptionsSent::LeftOut => true,
        };
        let name = model.name(&self.model);
        let is_configured = matches!(model, ModelThere::Configured(_));
        let length = self.members.iter().fold(64, |sum: usize, (key, value)| {
            sum.saturating_add(key.len())
                .saturating_add(value.len())
                .saturating_add(8)
        });
        let mut body = Vec::with_capacity(length);
        let mut options = asks_usage.then_some(None);
        body.push(b'{');
        for (key, value) in &self.members {
            match key.as_str() {
                "model" => push_member(&mut body, key, json_string(name).as_bytes()),
                other if is_configured && OTHERS.contains(&other) => {}
                "stream_options" if asks_usage => options = Some(Some(value)),
                "stream_options" if self.stream && leaves_out => {}
                _ => push_member(&mut body, key, value),
            }
        }
        if let Some(options) = options {
            push_member(&mut body, "stream_options", with_usage(options).as_bytes());
        }
        body.push(b'}');
        body
    }
}

/// The client's options with the usage chunk asked for.
fn with_usage(options: Option<&Bytes>) -> String {
    let mut members = options
        .and_then(|options| read_small::<serde_json::Map<_, _>>(options).ok())
        .unwrap_or_default();
    members.retain(|key, _| !is_misspelt(key, "include_usage"));
    members.insert("include_usage".to_owned(), true.into());
    Value::Object(members).to_string()
}

fn push_member(body: &mut Vec<u8>, key: &str, value: &[u8]) {
    if body.len() > 1 {
        body.push(b',');
    }
    body.extend_from_slice(json_string(key).as_bytes());
    body.push(b':');
    body.extend_from_slice(value);
}

fn json_string(text: &str) -> String {
    // Text cannot fail to be written.
    serde_json::to_string(text).unwrap_or_default()
}
