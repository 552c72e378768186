//! The normal form, `gateway.json`: the types as JSON with every default spelt out.

use crate::{Error, Gateway};

/// Reads a normal form whose templates were resolved.
pub fn parse_normal_form(json: &str) -> Result<Gateway, Error> {
    Ok(serde_json::from_str(json)?)
}

/// Writes the normal form: indented, ending in a line break, the same for equal configurations.
#[cfg(feature = "document")]
pub fn normal_form(gateway: &Gateway) -> String {
    // Writing these types cannot fail: their maps have text for keys and no field refuses. Were it to fail, the
    // empty text is one that no component accepts.
    let mut json = serde_json::to_string_pretty(gateway).unwrap_or_default();
    json.push('\n');
    json
}
