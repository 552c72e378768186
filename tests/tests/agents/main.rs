//! Agent APIs beyond what nginx did: other back ends, redirects, CORS, names for requests, limits of size and time,
//! runs read along, and what governs single apps, users, routes and services.

use anyhow::Result;
use spillway_tests::{
    Gateway, Options,
    client::{Request, Response},
    metrics::{self, Sample},
    standin::StandinDify,
};

mod concurrency;
mod cross_origin;
mod dimensions;
mod held_up;
mod places;
mod protocols;
mod repeats;
mod runs;
mod sizes;
mod times;

/// A gateway in front of a Dify.
struct Published {
    gateway: Gateway,
    dify: StandinDify,
}

impl Published {
    /// One agent API with these settings (whole lines), and these settings of the whole document.
    async fn start(document: &str, settings: &str) -> Result<Self> {
        let dify = StandinDify::start()?;
        let mut yaml = format!("{document}\nagents:\n  - name: dify\n    services:\n");
        for (service, standin) in dify.services() {
            yaml.push_str(&format!("      {service}: {}\n", standin.url()));
        }
        for line in settings.lines() {
            yaml.push_str(&format!("    {line}\n"));
        }
        let gateway = Gateway::start(&yaml, Options::default()).await?;
        Ok(Self { gateway, dify })
    }

    async fn call(&self, request: &Request) -> Result<Response> {
        self.gateway.call(request).await
    }

    /// Waits until this many of the samples are there, and gives all samples.
    async fn samples(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        count: f64,
    ) -> Result<Vec<Sample>> {
        spillway_tests::until(&format!("{name} {labels:?} to be {count}"), async || {
            let page = self.call(&Request::get("/_gateway/metrics")).await?;
            let samples = metrics::parse(&page.text()).map_err(anyhow::Error::msg)?;
            let total = metrics::total(&samples, name, labels);
            Ok((total >= count).then_some(samples))
        })
        .await
    }
}
