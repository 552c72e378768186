//! How many calls, and how many retrievals, may be in flight at once.

use anyhow::Result;
use serde_json::json;
use spillway_tests::{
    Gateway, Options, Redis, chat_request,
    client::{End, Request, Response},
    run,
    standin::{
        Behaviour, EventStream, Gate, RagflowOptions, StandinModel, StandinRagflow, Step, Wait,
    },
    stream_request, until,
};

const CHAT: &str = "/llm/v1/chat/completions";

struct AtOnce {
    gateway: Gateway,
    vendor: StandinModel,
    engine: StandinRagflow,
    _redis: Redis,
}

impl AtOnce {
    /// One call at once for each consumer, and one retrieval.
    async fn start() -> Result<Self> {
        let (redis, vendor) = (Redis::start().await?, StandinModel::start("vendor")?);
        let engine = StandinRagflow::start(RagflowOptions {
            api_keys: vec!["ragflow-key".to_owned()],
            dataset_ids: vec!["kb1".to_owned()],
        })?;
        let one = "limit_keys: [{ key: '*', concurrency: 1 }]";
        let yaml = format!(
            r#"
state: {{ timeout: 1s, redis: "{}" }}
consumers:
  - {{ name: one, credentials: [{{ api_key: sk-one }}] }}
  - {{ name: two, credentials: [{{ api_key: sk-two }}] }}
models:
  - name: llm
    policies:
      auth: [one, two]
      rate_limits: [{{ rule_name: at-once, rule_items: [{{ limit_by_per_consumer: '', {one} }}] }}]
    routes: [{{ targets: [{{ provider: vendor }}] }}]
providers:
  - {{ name: vendor, base_url: "{}" }}
knowledge:
  - name: handbook
    api_keys: [kb-key]
    backend: {{ type: ragflow, base_url: "{}", api_key: ragflow-key }}
    policies:
      rate_limits: [{{ rule_name: at-once, rule_items: [{{ limit_by_per_consumer: '', {one} }}] }}]
"#,
            redis.url(),
            vendor.base_url(),
            engine.url()
        );
        Ok(Self {
            gateway: Gateway::start(&yaml, Options::default()).await?,
            vendor,
            engine,
            _redis: redis,
        })
    }

    async fn chat(&self, key: &str) -> Result<Response> {
        let request = Request::json(CHAT, &chat_request("m", "hi")).bearer(key);
        self.gateway.call(&request).await
    }

    /// While something of the first consumer's is in flight.
    async fn assert_full(&self) -> Result<()> {
        let refused = self.chat("sk-one").await?;
        assert_eq!(refused.status(), 429, "{}", refused.text());
        assert!(refused.text().contains("at once"), "{}", refused.text());
        assert_eq!(refused.header("retry-after").as_deref(), Some("1"));
        assert_eq!(self.chat("sk-two").await?.status(), 200, "another is free");
        Ok(())
    }

    async fn has_room_again(&self) -> Result<()> {
        until("room for another call", async || {
            let answer = self.chat("sk-one").await?;
            Ok((answer.status() == 200).then_some(()))
        })
        .await
    }
}

#[test]
fn a_streamed_call_holds_its_place_to_its_end() -> Result<()> {
    run(async {
        let all = AtOnce::start().await?;
        let gate = Gate::new();
        let held = EventStream::new().wait_before(3, Wait::Release(gate.clone()));
        all.vendor.next(Behaviour::Stream(held));
        let stream = Request::json(CHAT, &stream_request("m", "hi")).bearer("sk-one");
        let running = all.gateway.begin(&stream).await?;
        assert_eq!(running.status(), 200);
        all.assert_full().await?;
        gate.open();
        assert_eq!(running.finish().await?.end, End::Clean);
        all.has_room_again().await
    })
}

#[test]
fn what_is_passed_on_holds_its_place_to_its_end() -> Result<()> {
    run(async {
        let all = AtOnce::start().await?;
        let gate = Gate::new();
        all.vendor.next(Behaviour::Raw(vec![
            Step::text("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegin"),
            Step::release(&gate),
            Step::text("-end."),
        ]));
        let file = Request::get("/llm/v1/files/f-1/content").bearer("sk-one");
        let running = all.gateway.begin(&file).await?;
        assert_eq!(running.status(), 200);
        all.assert_full().await?;
        gate.open();
        let answer = running.finish().await?;
        assert_eq!(
            (&answer.body[..], answer.end),
            (&b"begin-end."[..], End::Clean)
        );
        all.has_room_again().await
    })
}

#[test]
fn what_is_passed_on_and_breaks_is_cut_and_makes_room() -> Result<()> {
    run(async {
        let all = AtOnce::start().await?;
        all.vendor.next(Behaviour::Raw(vec![
            Step::text("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegin"),
            Step::Close,
        ]));
        let file = Request::get("/llm/v1/files/f-1/content").bearer("sk-one");
        // Broken so soon, it may break before its head is out.
        if let Ok(answer) = all.gateway.call(&file).await {
            assert_ne!(answer.end, End::Clean, "it must not look complete");
        }
        all.has_room_again().await
    })
}

#[test]
fn a_retrieval_holds_its_place_to_its_end() -> Result<()> {
    run(async {
        let all = AtOnce::start().await?;
        let gate = Gate::new();
        all.engine.next(Behaviour::held(&gate, Behaviour::Normal));
        let query = json!({ "knowledge_id": "kb1", "query": "what", "retrieval_setting": { "top_k": 1, "score_threshold": 0.0 } });
        let request = || Request::json("/knowledge/handbook/retrieval", &query).bearer("kb-key");
        let first = request();
        let running = all.gateway.call(&first);
        let other = async {
            until("the first to be asked of the engine", async || {
                Ok((!all.engine.requests().is_empty()).then_some(()))
            })
            .await?;
            let refused = all.gateway.call(&request()).await?;
            gate.open();
            anyhow::Ok(refused)
        };
        let (first, refused) = tokio::try_join!(running, other)?;
        assert_eq!(first.status(), 200, "{}", first.text());
        assert_eq!(refused.status(), 429, "{}", refused.text());
        until("room for another retrieval", async || {
            Ok((all.gateway.call(&request()).await?.status() == 200).then_some(()))
        })
        .await
    })
}
