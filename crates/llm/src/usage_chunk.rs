//! The usage chunk: what a stream used, by itself and last.

use serde_json::value::RawValue;

use crate::pipeline::one_line;
use spillway_json::Members;

/// Members of the last chunk that one of our own repeats.
#[derive(Debug, Default)]
pub(crate) struct ChunkIdentity([Option<Box<RawValue>>; 4]);

const NAMES: [&str; 4] = ["id", "object", "created", "model"];

impl ChunkIdentity {
    /// Whether a chunk that has an `id` has come.
    pub(crate) fn is_known(&self) -> bool {
        self.0.first().is_some_and(Option::is_some)
    }

    /// Keeps those of the first chunk that has an `id`.
    pub(crate) fn remember(&mut self, chunk: &Members<'_>) {
        if !self.is_known() {
            self.0 = NAMES.map(|name| chunk.get(name).map(ToOwned::to_owned));
        }
    }

    /// Usage in a chunk of its own, with what the chunk has in which it came, else with what is remembered.
    pub(crate) fn usage_chunk(&self, chunk: &Members<'_>, usage: &RawValue) -> Vec<u8> {
        let mut text = vec![b'{'];
        for (name, remembered) in NAMES.into_iter().zip(&self.0) {
            if let Some(value) = chunk.get(name).or(remembered.as_deref()) {
                text.extend_from_slice(format!("\"{name}\":{},", value.get()).as_bytes());
            }
        }
        text.extend_from_slice(format!("\"choices\":[],\"usage\":{}}}", usage.get()).as_bytes());
        one_line(&text).into_owned()
    }
}
