//! A store that does not answer holds up nobody's stream.

use anyhow::{Context, Result};
use serde_json::json;
use spillway_tests::{
    Gateway, Options, Redis,
    client::{End, Incoming, Request},
    run,
    standin::{Behaviour, EventStream, Gate, StandinDify, StandinModel},
    stream_request, until,
};

/// Events of each stream that are let go on one by one.
const EVENTS: usize = 6;

/// A stream whose every event is let through by its gate.
struct Gated {
    gate: Gate,
    answer: Incoming,
}

impl Gated {
    /// The next event is released, and comes.
    async fn next(&mut self) -> Result<()> {
        self.gate.release();
        let block = self.answer.next_block().await?;
        block.context("the stream has ended").map(drop)
    }

    async fn end(self) -> Result<()> {
        self.gate.open();
        let response = self.answer.finish().await?;
        assert_eq!(response.end, End::Clean, "{}", response.text());
        Ok(())
    }
}

/// Streams that began before Redis froze, one of an agent API and one of a model API, and requests that find it
/// frozen meanwhile. Redis stays frozen until the streams have ended.
#[test]
fn while_redis_is_frozen_the_streams_go_on_event_by_event() -> Result<()> {
    run(async {
        let (redis, dify) = (Redis::start().await?, StandinDify::start()?);
        let vendor = StandinModel::start("vendor")?;
        let limits = "policies: { rate_limits: [{ rule_name: many, global_threshold: { query_per_minute: 1000 } }] }";
        let yaml = format!(
            r#"
state: {{ timeout: 1s, redis: "{}" }}
agents:
  - {{ name: dify, services: {{ api: "{}" }}, {limits} }}
models:
  - {{ name: llm, routes: [{{ targets: [{{ provider: vendor }}] }}], {limits} }}
providers:
  - {{ name: vendor, base_url: "{}" }}
"#,
            redis.url(),
            dify.api.url(),
            vendor.base_url()
        );
        let gateway = Gateway::start(&yaml, Options::default()).await?;
        let (chat_gate, model_gate) = (Gate::new(), Gate::new());
        let long = |gate: &Gate| EventStream::new().long(EVENTS + 6).gated(gate);
        dify.api
            .when("stream-1", Behaviour::Stream(long(&chat_gate)));
        vendor.when("stream-1", Behaviour::Stream(long(&model_gate)));
        let body =
            json!({"inputs": {}, "query": "stream-1", "response_mode": "streaming", "user": "u"});
        let chat = Request::json("/v1/chat-messages", &body).bearer("app-1");
        let completion =
            Request::json("/llm/v1/chat/completions", &stream_request("m", "stream-1"));
        // A model API holds the head back until the first content, which is the second event.
        model_gate.release();
        model_gate.release();
        let mut answer = gateway.begin(&completion).await?;
        for _ in 0..2 {
            answer.next_block().await?;
        }
        let model = Gated {
            gate: model_gate,
            answer,
        };
        let agent = Gated {
            gate: chat_gate,
            answer: gateway.begin(&chat).await?,
        };
        let mut streams = [agent, model];
        redis.freeze(true)?;
        let plain = Request::get("/v1/info").bearer("app-1");
        for _ in 0..EVENTS {
            let events = async {
                for stream in &mut streams {
                    stream.next().await?;
                }
                anyhow::Ok(())
            };
            let (events, first, second) =
                tokio::join!(events, gateway.call(&plain), gateway.call(&plain));
            events?;
            assert_eq!((first?.status(), second?.status()), (200, 200));
        }
        for stream in streams {
            stream.end().await?;
        }
        // After three in a row of one instance; which of them answers a request is not ours to say.
        until("an instance to leave Redis alone", async || {
            gateway.call(&plain).await?;
            let ejected = gateway.log().contains("the store does not answer");
            Ok(ejected.then_some(()))
        })
        .await
    })
}
