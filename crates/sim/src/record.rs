//! Requests' records among the log's lines.

use serde_json::{Value, json};

/// What a line says, where it is a request's record.
///
/// As long as the configuration cannot be used lines are text.
pub fn record_of(line: &str) -> Option<Value> {
    if let Ok(line) = serde_json::from_str::<Value>(line) {
        return line.get("request").is_some().then_some(line);
    }
    let member = |name: &str| {
        let (_, rest) = line.split_once(&format!(" {name}="))?;
        rest.split(' ').next()
    };
    let status: u16 = member("status")?.parse().ok()?;
    Some(json!({ "request": member("request")?, "status": status }))
}
