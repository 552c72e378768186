//! Errors as OpenAI's API has them.

use http::StatusCode;
use serde_json::json;

/// OpenAI's error object. `type` follows their API's own use by status.
pub fn openai_error(status: StatusCode, code: &str, message: &str) -> serde_json::Value {
    let kind = match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    };
    json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
}
