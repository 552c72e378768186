//! RAGFlow: `POST /api/v1/retrieval`.
//!
//! Sources: RAGFlow's "HTTP API reference" (0.2x to 1.0), its `ragflow-sdk` 0.26.0, whose body this one equals, and
//! `common/metadata_utils.py` of its server for what `metadata_condition` takes.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use spillway_config::RagflowBackend;

use crate::Query;
use crate::engine::{not_in_form, readable, status_failure, words};
use crate::failure::{BackendFailure, Rejection, Unreadable};
use crate::record::{Record, text};

mod filter;

use filter::Filter;

/// Below the base URL.
pub(crate) const PATH: &str = "/api/v1/retrieval";

/// The knowledge ID that stands for the configured data sets: Dify demands that some ID be typed.
const DEFAULT_KNOWLEDGE: &str = "default";

/// From 1.0 on, RAGFlow refuses larger pages.
const MAX_PAGE_SIZE: u32 = 100;

/// All that the SDK sends, nulls included.
#[derive(Serialize)]
struct Body<'a> {
    page: u32,
    page_size: u32,
    similarity_threshold: f64,
    vector_similarity_weight: f64,
    top_k: u32,
    rerank_id: Option<&'a str>,
    keyword: bool,
    question: &'a str,
    dataset_ids: Vec<&'a str>,
    document_ids: &'a [String],
    cross_languages: Option<&'a [String]>,
    metadata_condition: Option<Filter<'a>>,
    use_kg: bool,
    toc_enhance: bool,
}

/// The least similarity: Dify's, or where that is off, the configured one.
pub(crate) fn threshold(config: &RagflowBackend, query: &Query) -> f64 {
    if query.score_threshold > 0.0 {
        query.score_threshold
    } else {
        config.similarity_threshold
    }
}

/// The body that puts a query.
pub(crate) fn body(config: &RagflowBackend, query: &Query) -> Result<Vec<u8>, BackendFailure> {
    let dataset_ids = dataset_ids(config, &query.knowledge_id);
    if dataset_ids.is_empty() {
        return Err(BackendFailure::UnknownKnowledge);
    }
    let metadata_condition = query.metadata_condition.as_ref();
    if metadata_condition.is_some() && !config.document_ids.is_empty() {
        // RAGFlow would pass over the condition, and find what it was to keep out.
        return Err(BackendFailure::Invalid(
            "This knowledge API is bound to certain documents (`backend.document_ids`) and takes no metadata condition."
                .to_owned(),
        ));
    }
    let body = Body {
        page: 1,
        page_size: query.top_k.min(MAX_PAGE_SIZE),
        similarity_threshold: threshold(config, query),
        vector_similarity_weight: config.vector_similarity_weight,
        top_k: config.top_k,
        rerank_id: config.rerank_id.as_deref(),
        keyword: config.keyword,
        question: &query.text,
        dataset_ids,
        document_ids: &config.document_ids,
        cross_languages: (!config.cross_languages.is_empty())
            .then_some(config.cross_languages.as_slice()),
        metadata_condition: metadata_condition.map(Filter::new).transpose()?,
        use_kg: config.use_kg,
        toc_enhance: config.toc_enhance,
    };
    // Texts, numbers and lists of them: writing those cannot fail.
    Ok(serde_json::to_vec(&body).unwrap_or_default())
}

/// The data sets that Dify's external knowledge ID names, separated by commas, each once.
fn dataset_ids<'a>(config: &'a RagflowBackend, knowledge_id: &'a str) -> Vec<&'a str> {
    let configured = || config.dataset_ids.iter().map(String::as_str).collect();
    if matches!(knowledge_id, "" | DEFAULT_KNOWLEDGE) {
        return configured();
    }
    let mut ids: Vec<&str> = Vec::new();
    for id in knowledge_id.split(',').map(str::trim) {
        if !id.is_empty() && !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// RAGFlow's errors come with 200 (newer releases: some with other statuses) and a `code` that is not 0.
#[derive(Deserialize)]
struct Envelope {
    code: Option<i64>,
    #[serde(default)]
    message: Value,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
struct Found {
    chunks: Option<Vec<Value>>,
    #[serde(default)]
    doc_aggs: Value,
}

/// Names differ between releases, so several stand for one thing.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Chunk {
    content: Value,
    content_with_weight: Value,
    similarity: Value,
    document_keyword: Value,
    document_name: Value,
    docnm_kwd: Value,
    document_id: Value,
    doc_id: Value,
    dataset_id: Value,
    kb_id: Value,
    id: Value,
    chunk_id: Value,
    document_metadata: Value,
}

/// The records of an answer, in its order.
pub(crate) fn read(status: StatusCode, document: Value) -> Result<Vec<Record>, BackendFailure> {
    let Envelope {
        code,
        message,
        data,
    } = serde_json::from_value(document).map_err(|_| not_in_form(status))?;
    match code {
        Some(0) if status.is_success() => {}
        Some(code) if code != 0 => return Err(error(status, code, &message)),
        _ if !status.is_success() => return Err(status_failure(status)),
        _ => return Err(BackendFailure::Unreadable(Unreadable::NoRecords)),
    }
    let found: Found = serde_json::from_value(data)
        .map_err(|_| BackendFailure::Unreadable(Unreadable::NoRecords))?;
    let chunks = readable(found.chunks.unwrap_or_default());
    Ok(chunks
        .into_iter()
        .filter_map(|chunk| record(chunk, &found.doc_aggs))
        .collect())
}

/// What an error code means. 101 and 102 come with words for the caller, the others with those of an exception.
fn error(status: StatusCode, code: i64, message: &Value) -> BackendFailure {
    let rejection = |message| {
        BackendFailure::Rejected(Rejection {
            status,
            code: Some(code),
            message,
        })
    };
    match code {
        109 | 401 | 403 => BackendFailure::KeyRefused,
        101 | 102 | 108 | 400 | 404 if names_unknown_dataset(message) => {
            BackendFailure::UnknownKnowledge
        }
        101 | 102 => rejection(words(message)),
        _ if !status.is_success() && status != StatusCode::INTERNAL_SERVER_ERROR => {
            match status_failure(status) {
                BackendFailure::Rejected(_) => rejection(None),
                other => other,
            }
        }
        _ => rejection(None),
    }
}

/// There is no code of its own for a data set that does not exist or belongs to somebody else: 102 has many uses.
fn names_unknown_dataset(message: &Value) -> bool {
    let message = message.as_str().unwrap_or_default().to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    has(&["own the dataset"])
        || has(&["dataset", "knowledgebase", "knowledge base"])
            && has(&["not found", "can't find", "doesn't exist", "does not exist"])
}

fn record(chunk: Chunk, doc_aggs: &Value) -> Option<Record> {
    let document_id = first([chunk.document_id, chunk.doc_id]);
    let mut title = first([chunk.document_keyword, chunk.document_name, chunk.docnm_kwd]);
    if title.is_null() {
        title = document_name(doc_aggs, &document_id);
    }
    let mut metadata = match chunk.document_metadata {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    // RAGFlow's own endpoint for Dify gives the document under both names; Dify links it by the first.
    let ids = [
        ("document_id", document_id.clone()),
        ("doc_id", document_id),
        ("dataset_id", first([chunk.dataset_id, chunk.kb_id])),
        ("chunk_id", first([chunk.id, chunk.chunk_id])),
    ];
    for (name, id) in ids {
        if let Some(id) = text(&id) {
            metadata.insert(name.to_owned(), Value::String(id));
        }
    }
    let content = first([chunk.content, chunk.content_with_weight]);
    Record::new(&content, &chunk.similarity, &title, Value::Object(metadata))
}

/// The first that is there.
fn first<const N: usize>(values: [Value; N]) -> Value {
    values
        .into_iter()
        .find(|value| !value.is_null() && value != "")
        .unwrap_or_default()
}

fn document_name(doc_aggs: &Value, document_id: &Value) -> Value {
    let documents = doc_aggs.as_array().map(Vec::as_slice).unwrap_or_default();
    documents
        .iter()
        .find(|document| !document_id.is_null() && document.get("doc_id") == Some(document_id))
        .and_then(|document| document.get("doc_name"))
        .cloned()
        .unwrap_or_default()
}
