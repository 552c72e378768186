//! The kinds of engines behind one face.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::Value;
use spillway_config::KnowledgeBackend;
use spillway_platform::{Headers, OutboundRequest, Timeouts, Upstream};

use crate::failure::{BackendFailure, Rejection, Unreadable};
use crate::record::Record;
use crate::{Query, dify_compatible, ragflow};

/// The longest message of an engine that is passed on, in characters.
const MAX_MESSAGE_CHARS: usize = 200;

/// One engine.
#[derive(Debug)]
pub(crate) struct Engine {
    backend: KnowledgeBackend,
    upstream: Upstream,
}

impl Engine {
    pub fn new(backend: &KnowledgeBackend, upstream: Upstream) -> Self {
        Self {
            backend: backend.clone(),
            upstream,
        }
    }

    pub fn as_str(&self) -> &'static str {
        match self.backend {
            KnowledgeBackend::Ragflow(_) => "ragflow",
            KnowledgeBackend::DifyCompatible(_) => "dify_compatible",
        }
    }

    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// The request that puts a query to the engine, to be answered within `time`.
    pub fn request(
        &self,
        query: &Query,
        time: Duration,
    ) -> Result<OutboundRequest, BackendFailure> {
        let (path, body) = match &self.backend {
            KnowledgeBackend::Ragflow(config) => (ragflow::PATH, ragflow::body(config, query)?),
            KnowledgeBackend::DifyCompatible(_) => {
                (dify_compatible::PATH, dify_compatible::body(query))
            }
        };
        let mut headers = Headers::default();
        headers.append("content-type", "application/json");
        headers.append("accept", "application/json");
        // The gateway reads what comes back, so it must not be compressed.
        headers.append("accept-encoding", "identity");
        if !self.api_key().is_empty() {
            headers.append("authorization", format!("Bearer {}", self.api_key()));
        }
        Ok(OutboundRequest {
            method: Method::POST,
            scheme: self.upstream.scheme.clone(),
            authority: self.upstream.authority.clone(),
            path_and_query: format!("{}{path}", self.upstream.base_path),
            headers,
            body: body.into(),
            timeouts: Timeouts {
                connect: time,
                first_byte: time,
                between_bytes: time,
            },
        })
    }

    /// The records of the engine's answer, in its order.
    pub fn read(&self, status: StatusCode, body: &[u8]) -> Result<Vec<Record>, BackendFailure> {
        let document = match spillway_json::value(body) {
            Some(document) => document,
            None if status.is_success() => {
                return Err(BackendFailure::Unreadable(Unreadable::NotJson));
            }
            None => return Err(status_failure(status)),
        };
        match &self.backend {
            KnowledgeBackend::Ragflow(_) => ragflow::read(status, document),
            KnowledgeBackend::DifyCompatible(_) => dify_compatible::read(status, document),
        }
    }

    /// The least score, where the request's threshold is off too.
    pub fn score_threshold(&self, query: &Query) -> f64 {
        match &self.backend {
            KnowledgeBackend::Ragflow(config) => ragflow::threshold(config, query),
            KnowledgeBackend::DifyCompatible(_) => query.score_threshold,
        }
    }

    /// An engine's words as one short line, without the key should they repeat it.
    pub fn quote(&self, message: &str) -> String {
        let key = self.api_key();
        // Before the cut, which might leave the beginning of a key.
        let message = if key.len() < 4 {
            message.to_owned()
        } else {
            message.replace(key, "***")
        };
        message
            .chars()
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .take(MAX_MESSAGE_CHARS)
            .collect()
    }

    fn api_key(&self) -> &str {
        match &self.backend {
            KnowledgeBackend::Ragflow(config) => &config.api_key,
            KnowledgeBackend::DifyCompatible(config) => &config.api_key,
        }
    }
}

/// What an answer says that is not in the engine's form.
pub(crate) fn not_in_form(status: StatusCode) -> BackendFailure {
    if status.is_success() {
        BackendFailure::Unreadable(Unreadable::NoRecords)
    } else {
        status_failure(status)
    }
}

/// The elements of a list that are what they should be: one that is not costs itself alone.
pub(crate) fn readable<T: serde::de::DeserializeOwned>(list: Vec<Value>) -> Vec<T> {
    let read = list.into_iter().map(serde_json::from_value);
    read.filter_map(Result::ok).collect()
}

/// What a status alone says, where it is no success.
pub(crate) fn status_failure(status: StatusCode) -> BackendFailure {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => BackendFailure::KeyRefused,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => BackendFailure::Busy(status),
        _ => BackendFailure::Rejected(Rejection {
            status,
            code: None,
            message: None,
        }),
    }
}

/// An engine's message, if there is one.
pub(crate) fn words(message: &Value) -> Option<String> {
    let text = message.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
