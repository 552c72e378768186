//! Answers that the host gives by itself.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use wasmtime_wasi_http::Error;

use crate::body::GuardedBody;

/// What the host's own errors look like at a component's routes: `[component.ID.tool.spillway] errors = "…"` in
/// spin.toml. Spin ignores the table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorForm {
    /// Plain text.
    #[default]
    Text,
    /// `{"code", "message", "status"}`, and a page for browsers.
    Dify,
    /// `{"error": {"message", "type", "param", "code"}}`.
    Openai,
    /// `{"error_code", "error_msg"}`, Dify's external knowledge API.
    DifyKnowledge,
}

/// An error of the host's own.
#[derive(Debug)]
pub struct HostError {
    status: StatusCode,
    /// For the client: what is wrong, and what to do.
    message: &'static str,
    /// The reason, and the code where the form has one.
    code: &'static str,
    /// Dify's external knowledge API has numbers; these go on where the component `rag` ends.
    number: u16,
}

/// The gateway has too much to do.
pub const OVERLOADED: HostError = HostError {
    status: StatusCode::SERVICE_UNAVAILABLE,
    message: "The gateway has too much to do right now. Try again in a moment.",
    code: "overloaded",
    number: 5_006,
};

/// The request's body came too slowly, or not at all.
pub const TOO_SLOW: HostError = HostError {
    status: StatusCode::REQUEST_TIMEOUT,
    message: "The request body did not come in time. Send it again.",
    code: "client_too_slow",
    number: 3_001,
};

/// An answer with a body.
pub fn full(status: StatusCode, body: Bytes) -> Response<GuardedBody> {
    let body = Full::new(body).map_err(Error::from).boxed_unsync();
    let mut response = Response::new(GuardedBody::new(body, None));
    *response.status_mut() = status;
    response
}

/// An answer without one.
pub fn empty(status: StatusCode) -> Response<GuardedBody> {
    full(status, Bytes::new())
}

/// What a client gets when a component fails.
pub fn internal_error() -> Response<GuardedBody> {
    empty(StatusCode::INTERNAL_SERVER_ERROR)
}

impl ErrorForm {
    /// An error in this form.
    pub fn answer(self, error: &HostError, wants_page: bool) -> Response<GuardedBody> {
        let HostError {
            status,
            message,
            code,
            number,
        } = *error;
        let (content_type, body) = match self {
            Self::Dify if wants_page => ("text/html; charset=utf-8", page(status, message)),
            Self::Dify => (
                "application/json",
                json!({ "code": code, "message": message, "status": status.as_u16() }).to_string(),
            ),
            Self::Openai => {
                let kind = if status.is_server_error() {
                    "api_error"
                } else {
                    "invalid_request_error"
                };
                let error =
                    json!({ "message": message, "type": kind, "param": null, "code": code });
                ("application/json", json!({ "error": error }).to_string())
            }
            Self::DifyKnowledge => (
                "application/json",
                json!({ "error_code": number, "error_msg": message }).to_string(),
            ),
            Self::Text => ("text/plain; charset=utf-8", format!("{message}\n")),
        };
        let mut response = full(status, body.into());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert("x-gateway-reason", HeaderValue::from_static(code));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// Whether a request comes from a browser that would show a page.
pub fn wants_page(request: &HeaderMap) -> bool {
    request
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

/// `message` is the host's own and needs no escapes.
fn page(status: StatusCode, message: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{status}</title><h1>{status}</h1><p>{message}</p></html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn rendered(form: ErrorForm, accept: &'static str) -> (String, String) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        let response = form.answer(&OVERLOADED, wants_page(&headers));
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[RETRY_AFTER], "1");
        let content_type = response.headers()[CONTENT_TYPE]
            .to_str()
            .unwrap()
            .to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (content_type, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn each_form_is_its_clients_own() {
        for (form, member) in [
            (ErrorForm::Dify, "/message"),
            (ErrorForm::Openai, "/error/message"),
            (ErrorForm::DifyKnowledge, "/error_msg"),
        ] {
            let (content_type, body) = rendered(form, "*/*").await;
            assert_eq!(content_type, "application/json");
            let document: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(document.pointer(member).unwrap(), OVERLOADED.message);
        }
        let (_, text) = rendered(ErrorForm::Text, "*/*").await;
        assert_eq!(text, format!("{}\n", OVERLOADED.message));
        let (content_type, body) = rendered(ErrorForm::Dify, "text/html,*/*").await;
        assert!(content_type.starts_with("text/html") && body.contains(OVERLOADED.message));
    }
}
