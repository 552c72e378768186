//! Dify's traffic through the gateway: what nginx did, and what it did not.

use std::sync::Arc;

use anyhow::{Context, Result};
use spillway_tests::{
    Gateway, Options, Shared,
    client::{Request, Response},
    mark,
    standin::{RecordedRequest, StandinDify},
};

mod addresses;
mod bodies;
mod conditions;
mod failures;
mod forwarding;
mod headers;
mod hop_by_hop;
mod mounts;
mod moving;
mod routing;
mod streams;
mod websockets;

/// A gateway in front of a Dify.
struct Ingress {
    gateway: Gateway,
    dify: StandinDify,
}

/// The one that tests share which need nothing but the plain table.
static PLAIN: Shared<Ingress> = Shared::new();

impl Ingress {
    async fn shared() -> Result<Arc<Self>> {
        PLAIN.get(async || Self::plain("").await).await
    }

    /// One API with these settings.
    async fn plain(settings: &str) -> Result<Self> {
        Self::start(|dify| agents(&[("dify", settings, dify)])).await
    }

    /// With a configuration that is made out of the stand-ins' addresses.
    async fn start(yaml: impl FnOnce(&StandinDify) -> String) -> Result<Self> {
        let dify = StandinDify::start()?;
        let gateway = Gateway::start(&yaml(&dify), Options::default()).await?;
        Ok(Self { gateway, dify })
    }

    async fn call(&self, request: &Request) -> Result<Response> {
        self.gateway.call(request).await
    }

    /// Sends a request and gives it as Dify saw it, with the answer.
    async fn forwarded(&self, request: Request) -> Result<(RecordedRequest, Response)> {
        let mark = mark();
        let request = request.header("X-Mark", &mark);
        let answer = self.call(&request).await?;
        let mut seen = self.dify.requests_mentioning(&mark);
        assert!(seen.len() < 2, "forwarded more than once: {seen:?}");
        let seen = seen.pop();
        let seen = seen.with_context(|| format!("{request:?} did not arrive, but: {answer:?}"))?;
        Ok((seen, answer))
    }
}

/// `agents` with APIs of these names and settings (whole lines), each in front of a Dify.
fn agents(apis: &[(&str, &str, &StandinDify)]) -> String {
    let mut yaml = "agents:\n".to_owned();
    for (name, settings, dify) in apis {
        yaml.push_str(&format!("  - name: {name}\n"));
        settings
            .lines()
            .for_each(|line| yaml.push_str(&format!("    {line}\n")));
        yaml.push_str("    services:\n");
        for (service, standin) in dify.services() {
            yaml.push_str(&format!("      {service}: {}\n", standin.url()));
        }
    }
    yaml
}
