//! A RAGFlow: its retrieval endpoint, as its HTTP API reference and its own server have it.

use std::ops::Deref;

use serde_json::{Value, json};

use crate::{
    Behaviour, Event, EventStream, RecordedRequest, Reply, Service, Standin, StandinError,
    json::{at, elements},
    surface::{Answer, Surface},
};

/// What a stand-in RAGFlow is.
#[derive(Debug, Clone, Default)]
pub struct RagflowOptions {
    /// The keys taken as `Authorization: Bearer …`. Empty: none is needed.
    pub api_keys: Vec<String>,
    /// The data sets that there are. Empty: any that is asked for.
    pub dataset_ids: Vec<String>,
}

/// A RAGFlow that serves `POST /api/v1/retrieval`. Each data set has ten chunks, the best with a similarity of 0.95,
/// each next one 0.1 less; see [`ragflow_chunk_text`]. Errors come with 200 and a `code`, as RAGFlow's do. Conditions on
/// metadata are checked for their form and otherwise passed over: what was asked is in the recorded request.
#[derive(Debug)]
pub struct StandinRagflow(Standin);

impl StandinRagflow {
    /// Starts one.
    ///
    /// # Errors
    /// When no port can be listened on.
    pub fn start(options: RagflowOptions) -> Result<Self, StandinError> {
        Standin::start(Engine(options)).map(Self)
    }
}

impl Deref for StandinRagflow {
    type Target = Standin;

    fn deref(&self) -> &Standin {
        &self.0
    }
}

/// The text of a chunk, numbered from 1 by similarity.
pub fn ragflow_chunk_text(question: &str, dataset_id: &str, number: usize) -> String {
    format!("Passage {number} of {dataset_id} on: {question}")
}

/// An error as RAGFlow tells of it: with 200.
pub fn ragflow_error(code: i64, message: &str) -> Behaviour {
    Behaviour::Reply(error(code, message))
}

#[derive(Debug)]
struct Engine(RagflowOptions);

impl Surface for Engine {
    fn service(&self) -> Service {
        Service::Knowledge
    }

    fn answer(&self, request: &RecordedRequest, _: &EventStream) -> Answer {
        Answer::Whole(self.answer_unstreamed(request))
    }

    fn answer_unstreamed(&self, request: &RecordedRequest) -> Reply {
        let given = request.header("authorization").unwrap_or_default();
        let known = |key: &String| given == format!("Bearer {key}");
        if !self.0.api_keys.is_empty() && !self.0.api_keys.iter().any(known) {
            return error(109, "Authentication error: API key is invalid!");
        }
        match (request.method.as_str(), request.path()) {
            ("POST", "/api/v1/retrieval") => self
                .retrieve(&request.json())
                .unwrap_or_else(|(code, message)| error(code, &message)),
            _ => Reply::json(
                404,
                &json!({"code": 404, "data": null, "error": "Not Found",
                        "message": format!("Not Found: {}", request.path())}),
            ),
        }
    }

    fn error(&self, _: &RecordedRequest, status: u16) -> Reply {
        let body =
            json!({"code": status, "data": null, "message": "The stand-in was told to fail."});
        Reply::json(status, &body)
    }

    fn error_event(&self) -> Event {
        Event::data(error_body(100, "The stand-in streams nothing.").to_string())
    }
}

impl Engine {
    /// What is found, or an error's code and message.
    fn retrieve(&self, body: &Value) -> Result<Reply, (i64, String)> {
        let datasets = elements(body, "/dataset_ids");
        if datasets.is_empty() {
            return Err((102, "`dataset_ids` is required.".to_owned()));
        }
        let mut ids = Vec::new();
        for dataset in datasets {
            let id = dataset.as_str().unwrap_or_default();
            if !self.0.dataset_ids.is_empty() && !self.0.dataset_ids.iter().any(|own| own == id) {
                return Err((102, format!("You don't own the dataset {id}.")));
            }
            ids.push(id);
        }
        let Some(question) = at(body, "/question").as_str() else {
            return Err((102, "`question` is required.".to_owned()));
        };
        let page_size = match at(body, "/page_size") {
            Value::Null => 30,
            size => match size.as_u64() {
                Some(size @ 1..=100) => size,
                _ => return Err((101, "`page_size` must be between 1 and 100.".to_owned())),
            },
        };
        for condition in elements(body, "/metadata_condition/conditions") {
            for key in ["name", "comparison_operator", "value"] {
                if condition.get(key).is_none() {
                    return Err((100, format!("KeyError('{key}')")));
                }
            }
        }
        if question.trim().is_empty() {
            return Ok(found(&[], 0));
        }
        let threshold = at(body, "/similarity_threshold").as_f64().unwrap_or(0.2);
        let mut chunks = Vec::new();
        for (rank, similarity) in SIMILARITIES.into_iter().enumerate() {
            if similarity >= threshold {
                let number = rank.saturating_add(1);
                chunks.extend(ids.iter().map(|id| chunk(question, id, number, similarity)));
            }
        }
        let total = chunks.len();
        chunks.truncate(usize::try_from(page_size).unwrap_or(usize::MAX));
        Ok(found(&chunks, total))
    }
}

const SIMILARITIES: [f64; 10] = [0.95, 0.85, 0.75, 0.65, 0.55, 0.45, 0.35, 0.25, 0.15, 0.05];

fn chunk(question: &str, dataset_id: &str, number: usize, similarity: f64) -> Value {
    let text = ragflow_chunk_text(question, dataset_id, number);
    json!({
        "id": format!("{dataset_id}-c{number}"), "content": text, "content_ltks": text.to_lowercase(),
        "document_id": format!("{dataset_id}-o{number}"), "document_keyword": format!("document-{number}.pdf"),
        "dataset_id": dataset_id, "highlight": text, "image_id": "", "important_keywords": [], "questions": [],
        "positions": [[1, 70, 520, 80, 95]], "doc_type_kwd": "text",
        "similarity": similarity, "term_similarity": similarity, "vector_similarity": similarity,
    })
}

fn found(chunks: &[Value], total: usize) -> Reply {
    let documents: Vec<Value> = chunks
        .iter()
        .map(|chunk| {
            json!({"doc_id": chunk["document_id"], "doc_name": chunk["document_keyword"], "count": 1})
        })
        .collect();
    let data = json!({"chunks": chunks, "doc_aggs": documents, "total": total});
    Reply::json(200, &json!({"code": 0, "data": data}))
}

fn error(code: i64, message: &str) -> Reply {
    Reply::json(200, &error_body(code, message))
}

fn error_body(code: i64, message: &str) -> Value {
    json!({"code": code, "data": null, "message": message})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Connection, Request};

    async fn ask(engine: &StandinRagflow, key: &str, body: &Value) -> Value {
        let request = Request::json("/api/v1/retrieval", body).bearer(key);
        let connection = Connection::open(engine.address()).await.unwrap();
        let answer = connection
            .call(&request)
            .await
            .unwrap()
            .finish()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        answer.json()
    }

    fn start() -> StandinRagflow {
        StandinRagflow::start(RagflowOptions {
            api_keys: vec!["k".to_owned()],
            dataset_ids: vec!["d1".to_owned(), "d2".to_owned()],
        })
        .unwrap()
    }

    #[tokio::test]
    async fn chunks_are_found_by_similarity_up_to_a_page() {
        let body = json!({"question": "q", "dataset_ids": ["d1", "d2"], "page_size": 3, "similarity_threshold": 0.7});
        let found = ask(&start(), "k", &body).await;
        assert_eq!(found["code"], 0);
        assert_eq!(found["data"]["total"], 6);
        let chunks = found["data"]["chunks"].as_array().unwrap();
        let texts: Vec<&Value> = chunks.iter().map(|chunk| &chunk["content"]).collect();
        assert_eq!(
            texts,
            [
                "Passage 1 of d1 on: q",
                "Passage 1 of d2 on: q",
                "Passage 2 of d1 on: q"
            ]
        );
        assert_eq!(chunks[2]["similarity"], 0.85);
    }

    #[tokio::test]
    async fn errors_come_with_200() {
        let engine = start();
        let good = json!({"question": "q", "dataset_ids": ["d1"]});
        for (key, change, code, message) in [
            ("x", json!({}), 109, "API key is invalid"),
            (
                "k",
                json!({"dataset_ids": []}),
                102,
                "`dataset_ids` is required.",
            ),
            (
                "k",
                json!({"dataset_ids": ["d1", "d3"]}),
                102,
                "You don't own the dataset d3.",
            ),
            (
                "k",
                json!({"question": null}),
                102,
                "`question` is required.",
            ),
            ("k", json!({"page_size": 101}), 101, "between 1 and 100"),
            (
                "k",
                json!({"metadata_condition": {"conditions": [{"name": "a", "comparison_operator": "empty"}]}}),
                100,
                "KeyError('value')",
            ),
        ] {
            let body = crate::json::with(&good, change);
            let answer = ask(&engine, key, &body).await;
            assert_eq!(answer["code"], code, "{body}");
            assert!(
                answer["message"].as_str().unwrap().contains(message),
                "{answer}"
            );
        }
        engine.next(ragflow_error(500, "boom"));
        assert_eq!(ask(&engine, "k", &good).await["code"], 500);
        assert_eq!(ask(&engine, "k", &good).await["code"], 0);
    }
}
