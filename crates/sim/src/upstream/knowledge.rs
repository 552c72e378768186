//! Retrieval engines.

use serde_json::json;

use super::Answer;
use super::openai::json_answer;
use crate::content::content;

/// What RAGFlow finds.
pub fn ragflow(number: u32) -> Answer {
    json_answer(&json!({ "code": 0, "data": { "total": 1, "chunks": [{
        "id": "c", "content": content(number), "similarity": 0.9, "document_id": "d",
        "document_keyword": "a.txt", "dataset_id": "k" }] } }))
}

/// What an engine finds that speaks Dify's contract.
pub fn engine(number: u32) -> Answer {
    json_answer(&json!({ "records": [{
        "content": content(number), "score": 0.9, "title": "a.txt", "metadata": {} }] }))
}

/// An error of either: RAGFlow reads `code`, the other `error_code`.
pub fn error(status: u16, key: &str) -> String {
    json!({ "code": status, "message": format!("not with {key}"), "error_code": status, "error_msg": format!("not with {key}") })
        .to_string()
}
