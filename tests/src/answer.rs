//! What the gateway says about its answers, and the forms of its errors.

use serde_json::Value;
use spillway_standin::client::{Head, Response};

/// Why an answer is what it is: the closed list behind `x-gateway-reason` and the label `reason` of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The first target, or the service, answered.
    Ok,
    /// A later target answered.
    Fallback,
    /// No such path, host, model or service.
    NotFound,
    /// The path takes another method.
    MethodNotAllowed,
    /// What is asked for cannot pass here.
    NotImplemented,
    /// No valid credential.
    Unauthorized,
    /// The request cannot be understood.
    InvalidRequest,
    /// The request is too large.
    TooLarge,
    /// Nobody took the connection.
    UpstreamRefused,
    /// No answer in time.
    UpstreamTimeout,
    /// The answer broke off, or was none.
    UpstreamError,
    /// The answer was an error, passed on.
    UpstreamStatus,
    /// The client did not send its body in time.
    ClientTooSlow,
    /// `allowed_outbound_hosts` lacks the host.
    HostNotAllowed,
    /// The configuration leaves nothing to serve with.
    Misconfigured,
}

impl Reason {
    /// As headers and labels have it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Fallback => "fallback",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NotImplemented => "not_implemented",
            Self::Unauthorized => "unauthorized",
            Self::InvalidRequest => "invalid_request",
            Self::TooLarge => "too_large",
            Self::UpstreamRefused => "upstream_refused",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamError => "upstream_error",
            Self::UpstreamStatus => "upstream_status",
            Self::ClientTooSlow => "client_too_slow",
            Self::HostNotAllowed => "host_not_allowed",
            Self::Misconfigured => "misconfigured",
        }
    }
}

/// The provider that served a call.
pub fn provider(head: &Head) -> Option<String> {
    head.header("x-gateway-provider")
}

/// The model that served a call, by its name at the provider.
pub fn model(head: &Head) -> Option<String> {
    head.header("x-gateway-model")
}

/// How many targets a call was sent to.
pub fn attempts(head: &Head) -> Option<String> {
    head.header("x-gateway-attempts")
}

/// Asserts why an answer is what it is.
pub fn reason(head: &Head, expected: Reason) {
    let reason = head.header("x-gateway-reason");
    assert_eq!(
        reason.as_deref(),
        Some(expected.text()),
        "x-gateway-reason of {head:?}"
    );
}

/// Asserts an error in OpenAI's form, and gives its message.
pub fn assert_openai_error(response: &Response, status: u16) -> String {
    let text = response.text();
    assert_eq!(response.status(), status, "{:?} {text}", response.head);
    assert_is_json(response);
    let body = response.json();
    let field = |name: &str| body.pointer(&format!("/error/{name}")).cloned();
    let message = field("message").and_then(|message| message.as_str().map(str::to_owned));
    assert!(
        message.as_ref().is_some_and(|message| !message.is_empty()),
        "no message: {text}"
    );
    assert!(
        field("type").is_some_and(|kind| kind.is_string()),
        "`type` is a text: {text}"
    );
    for name in ["param", "code"] {
        let fits = |value: Value| value.is_string() || value.is_null();
        assert!(
            field(name).is_some_and(fits),
            "`{name}` is a text or null: {text}"
        );
    }
    message.unwrap_or_default()
}

/// Asserts an error in Dify's form, and gives its message.
pub fn assert_dify_error(response: &Response, status: u16) -> String {
    let text = response.text();
    assert_eq!(response.status(), status, "{:?} {text}", response.head);
    assert_is_json(response);
    let body = response.json();
    let field = |name: &str| {
        body.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    assert!(!field("code").is_empty(), "no code: {text}");
    assert!(!field("message").is_empty(), "no message: {text}");
    assert_eq!(body.get("status"), Some(&Value::from(status)), "{text}");
    field("message")
}

fn assert_is_json(response: &Response) {
    let content_type = response.header("content-type").unwrap_or_default();
    assert!(
        content_type.starts_with("application/json"),
        "content-type {content_type}"
    );
}
