//! A reply within a stream that has begun: its head is out, so the error is the last event.

use serde_json::json;
use spillway_sse::write_event;

use crate::render::dify_code;
use crate::{LocalReply, ReplyBody, Surface};

impl Surface {
    /// The event that tells this surface's clients that the stream has failed.
    ///
    /// Dify's begins with an empty line, which closes whatever event was cut off before it. The others' clients are only
    /// ever sent whole events.
    pub fn stream_error(self, reply: LocalReply) -> Vec<u8> {
        let mut event = Vec::new();
        match (self, &reply.body) {
            (Self::Dify, ReplyBody::Error { message, .. }) => {
                let (status, code) = (reply.status, dify_code(reply.status, reply.reason));
                let document = json!({ "event": "error", "code": code, "message": message, "status": status.as_u16() });
                event.extend_from_slice(b"\n\n");
                write_event(&mut event, None, document.to_string().as_bytes());
            }
            _ => write_event(&mut event, None, &self.render(reply).body),
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::Value;
    use spillway_sse::Reader;
    use spillway_telemetry::Reason;

    use super::*;

    fn events(surface: Surface, before: &[u8]) -> Vec<Value> {
        let (status, reason) = (StatusCode::GATEWAY_TIMEOUT, Reason::UpstreamTimeout);
        let mut reader = Reader::with_limit(1024);
        reader.push(before).unwrap();
        let event = surface.stream_error(LocalReply::error(status, reason, "Too\nslow."));
        reader.push(&event).unwrap();
        std::iter::from_fn(|| reader.next_event())
            .map(|event| serde_json::from_slice(&event.data).unwrap_or_default())
            .collect()
    }

    #[test]
    fn difys_is_read_as_an_event_of_its_own() {
        let event = json!({ "event": "error", "code": "gateway_timeout", "message": "Too\nslow.", "status": 504 });
        let read = events(Surface::Dify, b"data: {\"event\":\"mess");
        assert_eq!(read, [Value::Null, event]);
    }

    #[test]
    fn openais_is_the_error_document_itself() {
        let read = events(Surface::OpenAi, b"");
        assert_eq!(read.len(), 1);
        let error = read[0]["error"].as_object().unwrap();
        assert_eq!(error["message"], "Too\nslow.");
        assert_eq!(error["code"], "upstream_timeout");
    }
}
