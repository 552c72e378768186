//! What kind of error a provider's words tell of.

use spillway_upstream::Failure;

use crate::error_form::UpstreamError;
use crate::meaning::{Meaning, meaning};

/// The failure that an error answer tells of.
pub(crate) fn failure_of(status: u16, body: &[u8]) -> Failure {
    match UpstreamError::read(body) {
        Some(error) => classified(status, &error),
        None => Failure::Status(status),
    }
}

/// Whether an error says that the provider does not take the key, though its status does not.
pub fn tells_of_a_dead_key(status: u16, body: &[u8]) -> bool {
    matches!(failure_of(status, body), Failure::DeadKey(_))
}

/// The failure that an error tells of which came with 200: it goes the way that it would have gone with a status of its
/// own. 502 where nothing tells which that is.
pub(crate) fn failure_within_success(error: &UpstreamError) -> Failure {
    match error.status.or_else(|| status_by_name(error)) {
        Some(status) => classified(status, error),
        None => match classified(400, error) {
            Failure::Status(_) => Failure::Status(502),
            known => known,
        },
    }
}

/// Whether an error speaks of what a key may not do, and not of the key: OpenAI answers so with 401 and with 403 for keys
/// with restricted rights ("Missing scopes: api.model.read"), OAuth 2.0 with `insufficient_scope` (RFC 6750, section
/// 3.1). One that doubts the key as well speaks of the key.
pub fn tells_of_missing_rights(body: &[u8]) -> bool {
    const RIGHTS: [&str; 3] = ["scope", "permission", "not authorized to"];
    const DOUBTS: [&str; 9] = [
        "invalid",
        "incorrect",
        "expired",
        "revoked",
        "disabled",
        "deactivated",
        "unknown",
        "not found",
        "not exist",
    ];
    let (message, codes) = match UpstreamError::read(body) {
        Some(error) => (error.message(), error.codes().join(" ")),
        None => (String::from_utf8_lossy(body).into_owned(), String::new()),
    };
    let message = message.to_lowercase();
    RIGHTS
        .iter()
        .any(|sign| message.contains(sign) || codes.contains(sign))
        && !DOUBTS.iter().any(|sign| message.contains(sign))
}

/// What an error is about counts more than its status: providers answer a prompt that is too long with anything from 400
/// to 500, and a dead key with 400.
fn classified(status: u16, error: &UpstreamError) -> Failure {
    match meaning(error) {
        Some(Meaning::TooLong) => Failure::ContextLength(status),
        Some(Meaning::Filtered) => Failure::ContentFilter(status),
        // 401 and 402 say it themselves, and other statuses of the same words are about more than the key.
        Some(Meaning::DeadKey) if matches!(status, 400 | 422) => Failure::DeadKey(status),
        Some(Meaning::NoCredit) if matches!(status, 400 | 403 | 429 | 500) => {
            Failure::NoCredit(status)
        }
        _ => Failure::Status(status),
    }
}

/// The status that goes with an error's code or type. OpenAI, Anthropic, Gemini.
fn status_by_name(error: &UpstreamError) -> Option<u16> {
    const NAMES: [(&str, u16); 32] = [
        ("invalid_request_error", 400),
        ("invalid_argument", 400),
        ("invalidparameter", 400),
        ("invalid_parameter", 400),
        ("zhipu 1302", 429),
        ("zhipu 1303", 429),
        ("minimax 1002", 429),
        ("rate_limit", 429),
        ("throttling", 429),
        ("invalidapikey", 401),
        ("bad_request", 400),
        ("badrequesterror", 400),
        ("authentication_error", 401),
        ("invalid_api_key", 401),
        ("unauthenticated", 401),
        ("unauthorized", 401),
        ("insufficient_quota", 429),
        ("billing_error", 402),
        ("insufficient_balance", 402),
        ("permission_error", 403),
        ("permission_denied", 403),
        ("not_found_error", 404),
        ("not_found", 404),
        ("model_not_found", 404),
        ("request_too_large", 413),
        ("rate_limit_error", 429),
        ("rate_limit_exceeded", 429),
        ("resource_exhausted", 429),
        ("too_many_requests", 429),
        ("overloaded_error", 503),
        ("unavailable", 503),
        ("service_unavailable", 503),
    ];
    error.codes().iter().find_map(|code| {
        // Model Studio's have what was throttled behind a dot.
        let code = code.split('.').next().unwrap_or(code);
        let found = NAMES.iter().find(|(name, _)| *name == code);
        found.map(|(_, status)| *status)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_key_may_not_do_is_told_from_a_key_that_is_none() {
        for (body, expected) in [
            (
                r#"{"error":{"message":"You have insufficient permissions for this operation. Missing scopes: api.model.read.","type":"invalid_request_error","param":null,"code":null}}"#,
                true,
            ),
            (
                r#"{"error":{"message":"Incorrect API key provided: sk-x."}}"#,
                false,
            ),
            ("Missing scopes: model.read", true),
            ("", false),
            (r#"{"error":"insufficient_scope"}"#, true),
            (
                r#"{"error":{"message":"Access denied","code":"insufficient_scope"}}"#,
                true,
            ),
            (
                r#"{"error":{"message":"The API key you used is missing the permission models_read"}}"#,
                true,
            ),
            (
                r#"{"detail":"You do not have permission to perform this action."}"#,
                true,
            ),
            (
                r#"{"error":{"message":"Invalid API key or insufficient permissions"}}"#,
                false,
            ),
            (r#"{"error":{"message":"Unauthorized"}}"#, false),
        ] {
            assert_eq!(tells_of_missing_rights(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn providers_words_are_understood() {
        let long = Failure::ContextLength(400);
        let filtered = Failure::ContentFilter(400);
        for (body, expected) in [
            (
                r#"{"error":{"code":"context_length_exceeded","message":"x"}}"#,
                long,
            ),
            (
                r#"{"error":{"message":"This model's maximum context length is 8192 tokens."}}"#,
                long,
            ),
            (
                r#"{"object":"error","message":"This model's maximum context length is 4096","code":400}"#,
                long,
            ),
            (
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 2 > 1"}}"#,
                long,
            ),
            (r#"{"error":"exceeds the available context size"}"#, long),
            (
                r#"{"error":{"code":"data_inspection_failed","message":"m"}}"#,
                filtered,
            ),
            (
                r#"{"error":{"code":"content_filter","message":"m"}}"#,
                filtered,
            ),
            (
                r#"{"error":{"message":"the response was filtered due to Azure OpenAI's content management policy"}}"#,
                filtered,
            ),
            (
                r#"{"error":{"message":"bad temperature","param":"context window"}}"#,
                Failure::Status(400),
            ),
            ("no JSON, context_length_exceeded", Failure::Status(400)),
            ("[]", Failure::Status(400)),
        ] {
            assert_eq!(failure_of(400, body.as_bytes()), expected, "{body}");
        }
        let long_text = br#"{"error":{"code":"context_length_exceeded"}}"#;
        assert_eq!(failure_of(500, long_text), Failure::ContextLength(500));
        assert_eq!(
            failure_of(429, br#"{"error":{"code":"1113","message":"m"}}"#),
            Failure::NoCredit(429)
        );
        let dead = br#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key."}}]"#;
        assert_eq!(failure_of(400, dead), Failure::DeadKey(400));
        assert_eq!(failure_of(401, dead), Failure::Status(401));
        assert_eq!(failure_of(413, long_text), Failure::ContextLength(413));
    }
}
