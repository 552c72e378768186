//! Engines that fail: Dify gets an answer before it gives up, and one that it does not repeat in vain.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use spillway_tests::{
    client::Request,
    metrics, run,
    standin::{Behaviour, Reply, ragflow_error},
    until,
};

use crate::{Knowledge, assert_error, query};

#[test]
fn every_failure_of_an_engine_is_an_answer_before_dify_gives_up() -> Result<()> {
    run(async {
        let knowledge = Knowledge::start().await?;
        let path = "/knowledge/handbook/retrieval";
        for (behaviour, status, code) in [
            (Behaviour::Silent, 424, 5002),
            (Behaviour::Reset, 502, 5003),
            (Behaviour::Garbage, 502, 5003),
            (Behaviour::not_json(), 424, 5003),
            (Behaviour::Reply(Reply::new(500)), 424, 5003),
            (
                ragflow_error(109, "Authentication error: API key is invalid!"),
                424,
                5003,
            ),
            (
                ragflow_error(102, "You don't own the dataset kb1."),
                404,
                2001,
            ),
        ] {
            let label = format!("{behaviour:?}");
            knowledge.engine.next(behaviour);
            let asked = query("kb1", 3, 0.0);
            let asking = knowledge.ask(path, "kb-key-1", &asked);
            let answer = tokio::time::timeout(Duration::from_secs(5), asking).await??;
            assert_eq!(
                (answer.status(), answer.json()["error_code"].clone()),
                (status, json!(code)),
                "{label}: {}",
                answer.text()
            );
        }
        let refused = knowledge
            .ask(
                "/knowledge/nobody/retrieval",
                "kb-key-1",
                &query("x", 3, 0.0),
            )
            .await?;
        assert_error(&refused, 502, 5001);
        assert!(
            !knowledge.gateway.log().contains("grüße"),
            "queries stay out of the log"
        );
        let outcomes = [
            ("backend_timeout", 1.0),
            ("unknown_knowledge", 1.0),
            ("backend_refused", 1.0),
        ];
        for (outcome, expected) in outcomes {
            until(&format!("{outcome} is counted"), async || {
                let page = knowledge
                    .gateway
                    .call(&Request::get("/_gateway/metrics"))
                    .await?;
                let samples = metrics::parse(&page.text()).map_err(anyhow::Error::msg)?;
                let name = "spillway_knowledge_requests_total";
                Ok(
                    (metrics::total(&samples, name, &[("outcome", outcome)]) == expected)
                        .then_some(()),
                )
            })
            .await?;
        }
        Ok(())
    })
}
