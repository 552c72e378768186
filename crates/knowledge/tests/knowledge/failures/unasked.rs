//! Failures for which no engine is asked.

use std::time::Duration;

use serde_json::json;
use spillway_config::Gateway;
use spillway_knowledge::{KnowledgeCatalogue, Retrieval};

use crate::scripted::{ScriptedSender, run};
use crate::{Answer, api, error, serve_bytes};

#[test]
fn a_ragflow_without_any_dataset_is_not_asked() {
    let gateway = r#"{"knowledge": [{"name": "k", "backend": {"type": "ragflow", "base_url": "http://r", "api_key": "s"}}]}"#;
    let catalogue =
        KnowledgeCatalogue::new(&serde_json::from_str::<Gateway>(gateway).unwrap()).unwrap();
    for id in ["", "default", " , ,"] {
        let sender = ScriptedSender::default();
        let retrieval = Retrieval {
            sender: &sender,
            clock: &sender.clock,
            api: api(&catalogue, "k"),
            arrived: Duration::ZERO,
        };
        let body = json!({"query": "q", "knowledge_id": id}).to_string();
        let answer = Answer::from(run(&sender.clock, retrieval.serve(body.as_bytes())));
        assert_eq!(
            (answer.status.as_u16(), error(&answer).0),
            (404, 2001),
            "{id:?}"
        );
    }
}

#[test]
fn garbage_in_asks_nobody() {
    let (answer, sender) = serve_bytes("handbook", b"{\"query\":", Vec::new());
    assert_eq!((answer.status.as_u16(), answer.detail), (400, None));
    assert!(sender.requests.borrow().is_empty());
}
