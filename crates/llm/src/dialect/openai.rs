//! OpenAI's API, and whatever speaks it.

use spillway_platform::{Headers, Upstream};

use crate::Operation;

pub(super) fn endpoint(operation: Operation, upstream: &Upstream) -> String {
    format!("{}{}", upstream.base_path, operation.path())
}

pub(super) fn probe(upstream: &Upstream) -> String {
    format!("{}/models", upstream.base_path)
}

pub(super) fn authorize(secret: Option<&str>, headers: &mut Headers) {
    if let Some(secret) = secret {
        headers.append("authorization", format!("Bearer {secret}"));
    }
}
