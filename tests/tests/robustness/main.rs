//! Whatever comes in, from either side: the gateway answers, and no instance traps.

use anyhow::Result;
use spillway_tests::{
    Chat, Gateway, Options,
    client::Request,
    standin::{Behaviour, StandinDify, StandinModel},
    stream_request,
};

mod answers;
mod bodies;
mod requests;

/// Requests of each kind.
const ROUNDS: usize = 1000;

/// A gateway, and what it has behind it.
struct Target {
    gateway: Gateway,
    dify: StandinDify,
    model: StandinModel,
}

impl Target {
    async fn start() -> Result<Self> {
        let (dify, model) = (StandinDify::start()?, StandinModel::start("vendor")?);
        let yaml = format!(
            r#"
agents:
  - name: dify
    services: {{ api: "{}", web: "{}", plugin_daemon: "{}" }}
    timeouts: {{ first_byte: 2s, idle: 2s }}
    routes:
      - {{ name: r, path: /v1/r, match: {{ query: {{ a: {{ prefix: b }} }}, headers: {{ h: v }} }}, service: web }}
models:
  - name: llm
    routes:
      - match: {{ model: ["m*", "a*b*c"] }}
        targets: [{{ provider: vendor, timeout: 2s }}]
providers:
  - {{ name: vendor, base_url: "{}" }}
"#,
            dify.api.url(),
            dify.web.url(),
            dify.plugin_daemon.url(),
            model.base_url()
        );
        let gateway = Gateway::start(&yaml, Options::default()).await?;
        Ok(Self {
            gateway,
            dify,
            model,
        })
    }

    /// Asserts that nothing has trapped and that requests are still served.
    async fn assert_unharmed(&self) -> Result<()> {
        let live = self
            .gateway
            .call(&Request::get("/_gateway/health/live"))
            .await?;
        assert_eq!(live.status(), 200);
        self.dify.api.always(Behaviour::Normal);
        self.model.always(Behaviour::Normal);
        assert_eq!(
            self.gateway.call(&Request::get("/api/x")).await?.status(),
            200
        );
        let chat = Request::json("/llm/v1/chat/completions", &stream_request("m", "hi"));
        assert!(Chat::read(&self.gateway.call(&chat).await?.text()).done);
        self.gateway.assert_no_trap();
        Ok(())
    }
}
