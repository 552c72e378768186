//! Model calls through the gateway.

use std::sync::Arc;

use anyhow::Result;
use serde_json::Value;
use spillway_tests::{
    Chat, Gateway, Options, Shared,
    client::{Request, Response},
    standin::{ModelOptions, ReservedPort, StandinModel},
    stream_request,
};

mod calls;
mod errors;
mod failover;
mod failover_streams;
mod framing;
mod interruptions;
mod keep_alive;
mod key_faults;
mod keys;
mod killed;
mod leaving;
mod requests;
mod usage;

/// What the consumer `dify` calls with.
const DIFY_KEY: &str = "sk-consumer-dify-1";
/// What the consumer `other` calls with.
const OTHER_KEY: &str = "sk-consumer-other-2";
/// What the provider `first` wants.
const FIRST_KEY: &str = "sk-provider-first-3";
/// What the provider `second` wants, one or the other.
const SECOND_KEYS: [&str; 2] = ["sk-provider-second-4", "sk-provider-second-5"];

/// A gateway in front of two vendors, and of one that is dead.
struct Models {
    gateway: Gateway,
    first: StandinModel,
    second: StandinModel,
    _dead: ReservedPort,
}

static SHARED: Shared<Models> = Shared::new();

impl Models {
    /// The one that tests share, which find their requests by a mark. Failures of keys are not for it: they would
    /// take a vendor away from everybody.
    async fn shared() -> Result<Arc<Self>> {
        SHARED.get(Self::start_patient).await
    }

    /// One that leaves no endpoint alone however often it fails.
    async fn start_patient() -> Result<Self> {
        Self::start_with("{ failures: 100, of: 100 }").await
    }

    async fn start() -> Result<Self> {
        Self::start_with("{}").await
    }

    async fn start_with(breaker: &str) -> Result<Self> {
        let vendor = |name: &str, keys: &[&str]| {
            StandinModel::start_with(ModelOptions {
                name: name.to_owned(),
                api_keys: keys.iter().map(ToString::to_string).collect(),
                models: Vec::new(),
            })
        };
        let first = vendor("first", &[FIRST_KEY])?;
        let second = vendor("second", &SECOND_KEYS)?;
        let dead = ReservedPort::reserve()?;
        let options = Options::default()
            .lasting()
            .secret("dify_key", DIFY_KEY)
            .secret("other_key", OTHER_KEY)
            .secret("first_key", FIRST_KEY)
            .secret("second_key_a", SECOND_KEYS[0])
            .secret("second_key_b", SECOND_KEYS[1]);
        let providers = format!(
            r#"
providers:
  - name: first
    type: openai
    base_url: {}
    api_keys: ["{{{{ first_key }}}}"]
    breaker: {breaker}
  - name: second
    base_url: {}
    api_keys: ["{{{{ second_key_a }}}}", "{{{{ second_key_b }}}}"]
    breaker: {breaker}
  - name: dead
    base_url: {}/v1
    breaker: {breaker}
"#,
            first.base_url(),
            second.base_url(),
            dead.url()
        );
        let gateway = Gateway::start(&format!("{APIS}{providers}"), options).await?;
        Ok(Self {
            gateway,
            first,
            second,
            _dead: dead,
        })
    }

    /// Posts JSON to the API that is open to everybody.
    async fn post(&self, path: &str, body: &Value) -> Result<Response> {
        self.gateway
            .call(&Request::json(&format!("/llm{path}"), body))
            .await
    }

    /// Streams a chat and reads it strictly.
    async fn stream(&self, model: &str, text: &str) -> Result<(Response, Chat)> {
        let response = self
            .post("/v1/chat/completions", &stream_request(model, text))
            .await?;
        assert_eq!(response.status(), 200, "{}", response.text());
        let content_type = response.header("content-type").unwrap_or_default();
        assert!(
            content_type.starts_with("text/event-stream"),
            "content-type {content_type}"
        );
        let chat = Chat::read(&response.text());
        Ok((response, chat))
    }
}

/// Model names say what happens to a call: which targets it has, and how patient they are.
const APIS: &str = r#"
consumers:
  - name: dify
    credentials:
      - api_key: "{{ dify_key }}"
  - name: other
    credentials:
      - api_key: "{{ other_key }}"

models:
  - name: open
    routes:
      - name: mapped
        match: { model: [gpt-4o, gpt-4o-mini] }
        targets:
          - { provider: first, model: first-large }
      - name: as-asked
        match: { model: ["own-*"] }
        targets:
          - { provider: first }
      - name: both
        match: { model: ["both-*"] }
        targets:
          - { provider: first, model: first-model }
          - { provider: second, model: second-model }
      - name: impatient
        match: { model: ["impatient-*"] }
        targets:
          - { provider: first, model: first-model, timeout: 800ms, first_token_timeout: 800ms }
          - { provider: second, model: second-model }
      - name: impatient-alone
        match: { model: ["alone-*"] }
        targets:
          - { provider: first, model: first-model, timeout: 800ms }
      - name: dead-first
        match: { model: ["dead-first-*"] }
        targets:
          - { provider: dead, model: dead-model }
          - { provider: second, model: second-model }
        fallback: { embeddings_across_models: true }
      - name: all-dead
        match: { model: ["all-dead-*"] }
        targets:
          - { provider: dead, model: one }
          - { provider: dead, model: two }
      - name: only-503
        match: { model: ["only-503-*"] }
        targets:
          - { provider: first, model: first-model }
          - { provider: second, model: second-model }
        fallback: { on: ["503"] }
      - name: one-attempt
        match: { model: ["one-attempt-*"] }
        targets:
          - { provider: first, model: first-model }
          - { provider: second, model: second-model }
        fallback: { max_attempts: 1 }
      - name: chatty
        match: { model: ["chatty-*"] }
        targets:
          - { provider: first, model: first-model }
          - { provider: second, model: second-model }
        fallback: { keep_alive: 100ms }
      - name: rotating
        match: { model: ["rotating-*"] }
        targets:
          - { provider: second }
  - name: keyed
    base_path: /llm/keyed
    policies: { auth: [dify] }
    routes:
      - targets:
          - { provider: first, model: first-model }
  - name: small
    base_path: /llm/small
    max_body_size: 1KiB
    routes:
      - targets:
          - { provider: first }
"#;
