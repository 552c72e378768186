//! Files, batches and responses: what a provider keeps under the key that made it.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::json;
use spillway_tests::{
    Gateway, Random, assert_openai_error, attempts,
    client::{Body, Request, Response},
    mark, provider, run,
    standin::{Behaviour, Reply, StandinModel},
};

use crate::start;

const KEYS: [&str; 4] = ["sk-keeps-1", "sk-keeps-2", "sk-keeps-3", "sk-keeps-4"];

const YAML: &str = r#"
consumers:
  - { name: ann, credentials: [{ api_key: sk-ann }, { api_key: sk-ann-too }] }
  - { name: bob, credentials: [{ api_key: sk-bob }] }
  - { name: eve, credentials: [{ api_key: sk-eve }], models: [none] }
models:
  - name: llm
    max_body_size: 2MiB
    policies: { auth: [ann, bob, eve] }
    routes:
      - match: { model: [gpt-4o] }
        targets: [{ provider: first, model: first-model }, { provider: second }]
        parameters: { forced: { store: true } }
      - targets: [{ provider: first }, { provider: second }]
providers:
  - { name: first, base_url: "$first", api_keys: [sk-keeps-1, sk-keeps-2, sk-keeps-3, sk-keeps-4] }
  - { name: second, base_url: "$second" }
"#;

pub(crate) struct Kept {
    pub gateway: Gateway,
    pub first: StandinModel,
    pub second: StandinModel,
}

impl Kept {
    pub async fn start() -> Result<Self> {
        let (first, second) = (
            StandinModel::start("first")?,
            StandinModel::start("second")?,
        );
        first.always(Behaviour::Reply(Reply::json(200, &json!({"id": "file-1"}))));
        let gateway = start(YAML, &[("first", &first), ("second", &second)]).await?;
        Ok(Self {
            gateway,
            first,
            second,
        })
    }

    pub async fn call(&self, request: Request, key: &str) -> Result<Response> {
        self.gateway.call(&request.bearer(key)).await
    }
}

fn upload(body: Vec<u8>) -> Request {
    Request::post(
        "/llm/v1/files",
        "multipart/form-data; boundary=\"a b\"",
        body,
    )
}

#[test]
fn everything_of_a_consumer_goes_by_one_key() -> Result<()> {
    run(async {
        let kept = Kept::start().await?;
        for round in 0..6 {
            for key in ["sk-ann", "sk-ann-too", "sk-bob"] {
                let text = mark();
                for request in [
                    upload(text.clone().into_bytes()),
                    Request::get(&format!("/llm/v1/files/{text}/content?a=b%20c")),
                    Request::new("DELETE", &format!("/llm/files/{text}")),
                    Request::json("/llm/v1/batches", &json!({"input_file_id": text})),
                    Request::new("POST", &format!("/llm/v1/batches/{text}/cancel")),
                    Request::json(
                        "/llm/v1/responses",
                        &json!({"model": "gpt-4o", "input": text}),
                    ),
                    Request::get(&format!("/llm/v1/responses/{text}/input_items?limit=1")),
                ] {
                    let answer = kept.call(request.clone(), key).await?;
                    assert_eq!(answer.status(), 200, "{round} {}", answer.text());
                    assert_eq!(answer.json()["id"], "file-1");
                    assert_eq!(provider(&answer.head).as_deref(), Some("first"));
                    assert_eq!(attempts(&answer.head).as_deref(), Some("1"));
                    let seen = kept
                        .first
                        .requests()
                        .pop()
                        .map(|seen| (seen.method.clone(), seen.target.clone()));
                    let below = request
                        .target
                        .replacen("/llm/v1", "", 1)
                        .replacen("/llm", "", 1);
                    assert_eq!(seen, Some((request.method, format!("/v1{below}"))));
                }
                let used: BTreeSet<_> = kept
                    .first
                    .requests_mentioning(&text)
                    .iter()
                    .map(|request| request.header("authorization"))
                    .collect();
                assert_eq!(used.len(), 1, "{key} went by {used:?}");
            }
        }
        // Both credentials are the same consumer's.
        let all = kept.first.requests();
        let used: BTreeSet<_> = all
            .iter()
            .map(|seen| seen.header("authorization"))
            .collect();
        assert!(used.len() <= 2, "two consumers went by {used:?}");
        assert!(
            used.iter()
                .flatten()
                .all(|used| KEYS.iter().any(|key| used.ends_with(key)))
        );
        assert!(kept.second.requests().is_empty());
        Ok(())
    })
}

#[test]
fn an_upload_goes_through_to_the_byte() -> Result<()> {
    run(async {
        let kept = Kept::start().await?;
        let mut random = Random::new(5);
        let bytes: Vec<u8> = (0..1_000_000)
            .map(|_| random.below(256).to_le_bytes()[0])
            .collect();
        let parts = bytes
            .chunks(10_000)
            .map(bytes::Bytes::copy_from_slice)
            .collect();
        for request in [
            upload(bytes.clone()),
            upload(Vec::new()).body(Body::Chunked(parts)),
        ] {
            let answer = kept.call(request, "sk-ann").await?;
            assert_eq!(answer.status(), 200, "{}", answer.text());
            let seen = kept.first.requests().pop();
            let seen = seen.as_ref();
            assert!(
                seen.is_some_and(|seen| seen.body == bytes),
                "the upload differs"
            );
            assert_eq!(
                seen.and_then(|seen| seen.header("content-type")).as_deref(),
                Some("multipart/form-data; boundary=\"a b\"")
            );
        }
        Ok(())
    })
}

#[test]
fn an_upload_that_is_too_large_is_a_413() -> Result<()> {
    run(async {
        let kept = Kept::start().await?;
        let bytes = vec![b'x'; 3 * 1024 * 1024];
        let parts = bytes
            .chunks(10_000)
            .map(bytes::Bytes::copy_from_slice)
            .collect();
        for request in [
            upload(bytes.clone()),
            upload(Vec::new()).body(Body::Chunked(parts)),
        ] {
            assert_openai_error(&kept.call(request, "sk-ann").await?, 413);
        }
        let whole = kept
            .first
            .requests()
            .into_iter()
            .filter(|seen| seen.body_complete);
        assert_eq!(whole.count(), 0);
        Ok(())
    })
}

#[test]
fn nothing_of_this_is_sent_to_another_provider() -> Result<()> {
    run(async {
        let kept = Kept::start().await?;
        for status in [500, 503, 429, 404, 401] {
            kept.first.always(Behaviour::Error(status));
            let answer = kept
                .call(Request::get("/llm/v1/files/f-1"), "sk-ann")
                .await?;
            assert_eq!(answer.status(), crate::told(status), "{}", answer.text());
        }
        kept.first.kill().await;
        let answer = kept
            .call(Request::get("/llm/v1/files/f-1"), "sk-ann")
            .await?;
        let message = assert_openai_error(&answer, 502);
        assert!(!message.contains("127.0.0.1"), "{message}");
        assert!(kept.second.requests().is_empty());
        Ok(())
    })
}
