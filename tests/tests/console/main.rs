//! Health and metrics.

use std::sync::Arc;

use anyhow::Result;
use spillway_tests::{
    Gateway, Options,
    client::{Connection, Request},
    metrics::{self, Sample},
    run,
    standin::{ReservedPort, StandinDify, StandinModel},
    until,
};

mod log;
mod replicas;
mod totals;

/// A gateway whose metrics nobody else raises.
struct Metered {
    gateway: Gateway,
    dify: StandinDify,
    model: StandinModel,
    _dead: ReservedPort,
}

impl Metered {
    async fn start() -> Result<Self> {
        let (dify, model, dead) = (
            StandinDify::start()?,
            StandinModel::start("vendor")?,
            ReservedPort::reserve()?,
        );
        let yaml = format!(
            r#"
consumers:
  - name: dify
    credentials: [{{ api_key: sk-1 }}]
agents:
  - name: dify
    services: {{ api: "{}", web: "{}" }}
models:
  - name: llm
    policies: {{ auth: [dify] }}
    routes:
      - name: chat
        match: {{ model: [gpt-4o] }}
        targets: [{{ provider: vendor, model: vendor-model }}]
      - name: rescued
        match: {{ model: [gpt-old] }}
        targets: [{{ provider: dead }}, {{ provider: vendor, model: rescue-model }}]
providers:
  - {{ name: vendor, base_url: "{}" }}
  - {{ name: dead, base_url: "{}/v1" }}
"#,
            dify.api.url(),
            dify.web.url(),
            model.base_url(),
            dead.url()
        );
        let gateway = Gateway::start(&yaml, Options::default()).await?;
        Ok(Self {
            gateway,
            dify,
            model,
            _dead: dead,
        })
    }

    async fn metrics(&self) -> Result<Vec<Sample>> {
        let page = self
            .gateway
            .call(&Request::get("/_gateway/metrics"))
            .await?;
        assert_eq!(page.status(), 200, "{}", page.text());
        let content_type = page.header("content-type").unwrap_or_default();
        assert!(
            content_type.starts_with("text/plain"),
            "Prometheus wants text/plain, not {content_type}"
        );
        metrics::parse(&page.text()).map_err(anyhow::Error::msg)
    }

    /// Waits until the metrics say so: what an instance has counted arrives a little later.
    async fn wait_for(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        expected: f64,
    ) -> Result<Vec<Sample>> {
        until(&format!("{name} {labels:?} = {expected}"), async || {
            let samples = self.metrics().await?;
            let total = metrics::total(&samples, name, labels);
            assert!(
                total <= expected,
                "{name} {labels:?} is {total}, more than the {expected} there were"
            );
            Ok((total == expected).then_some(samples))
        })
        .await
    }
}

/// Eight connections at once, so that more than one instance serves.
async fn call_at_once(gateway: &Arc<Metered>, calls: usize, request: &Request) -> Result<()> {
    let callers = (0..8).map(|_| {
        let (metered, request) = (Arc::clone(gateway), request.clone());
        tokio::spawn(async move {
            for _ in 0..calls / 8 {
                let connection = Connection::open(metered.gateway.address()).await?;
                connection.call(&request).await?.finish().await?;
            }
            anyhow::Ok(())
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await??;
    }
    Ok(())
}

#[test]
fn it_is_live_and_ready() -> Result<()> {
    run(async {
        let metered = Metered::start().await?;
        for path in ["/_gateway/health/live", "/_gateway/health/ready"] {
            assert_eq!(
                metered.gateway.call(&Request::get(path)).await?.status(),
                200,
                "{path}"
            );
            assert_eq!(
                metered
                    .gateway
                    .call(&Request::new("HEAD", path))
                    .await?
                    .status(),
                200,
                "{path}"
            );
        }
        Ok(())
    })
}

#[test]
fn everything_else_below_its_path_is_off() -> Result<()> {
    run(async {
        let metered = Metered::start().await?;
        for path in [
            "/_gateway",
            "/_gateway/",
            "/_gateway/other",
            "/_gateway/health",
            "/_gateway/metrics/x",
            "/_gateway/config",
        ] {
            let answer = metered.gateway.call(&Request::get(path)).await?;
            assert_eq!(answer.status(), 404, "{path}: {}", answer.text());
        }
        let posted = metered
            .gateway
            .call(&Request::new("POST", "/_gateway/metrics"))
            .await?;
        assert!(matches!(posted.status(), 404 | 405), "{}", posted.status());
        assert!(
            metered.dify.web.requests().is_empty(),
            "what is below /_gateway is never Dify's"
        );
        Ok(())
    })
}
