//! Dify's error as an event, for streams that have begun.

use serde_json::json;
use spillway_sse::write_event;

/// An `error` event as Dify writes it: its clients raise it. It begins with an empty line, which closes whatever
/// event was cut off before it.
pub fn error_event(code: &str, message: &str, status: u16) -> Vec<u8> {
    let event = json!({ "event": "error", "code": code, "message": message, "status": status });
    let mut bytes = b"\n\n".to_vec();
    write_event(&mut bytes, None, event.to_string().as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_an_event_of_its_own() {
        let mut reader = spillway_sse::Reader::with_limit(1024);
        reader.push(b"data: {\"event\":\"mess").unwrap();
        reader
            .push(&error_event("gateway_timeout", "Too slow.", 504))
            .unwrap();
        let events: Vec<_> = std::iter::from_fn(|| reader.next_event()).collect();
        assert_eq!(events.len(), 2);
        let error: serde_json::Value = serde_json::from_slice(&events[1].data).unwrap();
        assert_eq!(
            (error["event"].as_str(), error["status"].as_u64()),
            (Some("error"), Some(504))
        );
    }
}
