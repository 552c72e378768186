//! Several gateways on one Redis.

use std::{
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};
use spillway_tests::{
    Gateway, Options,
    client::Request,
    metrics::{self, REQUESTS},
    run,
    standin::{ReservedPort, StandinDify},
    until,
};

/// A real Redis, gone when dropped.
struct Redis {
    process: Child,
    port: ReservedPort,
}

impl Redis {
    async fn start() -> Result<Self> {
        let port = ReservedPort::reserve()?;
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"])
            .arg(port.address().port().to_string())
            .stdout(Stdio::null())
            .spawn()
            .context("redis-server is missing: ./scripts/test installs it (Debian: apt-get install redis-server)")?;
        let redis = Self { process, port };
        let address = redis.port.address();
        until("Redis listens", async || {
            Ok(TcpStream::connect(address).ok())
        })
        .await?;
        Ok(redis)
    }

    fn url(&self) -> String {
        format!("redis://{}", self.port.address())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn totals_of_replicas_on_one_redis_are_one() -> Result<()> {
    run(async {
        let (redis, dify) = (Redis::start().await?, StandinDify::start()?);
        let yaml = format!(
            "state: {{ redis: \"{}\" }}\nagents:\n  - name: dify\n    services: {{ api: \"{}\" }}\n",
            redis.url(),
            dify.api.url()
        );
        let first = Gateway::start(&yaml, Options::default()).await?;
        let second = Gateway::start(&yaml, Options::default()).await?;
        for gateway in [&first, &second] {
            let ready = gateway
                .call(&Request::get("/_gateway/health/ready"))
                .await?;
            assert_eq!(ready.status(), 200, "{}", ready.text());
            for _ in 0..15 {
                assert_eq!(gateway.call(&Request::get("/api/x")).await?.status(), 200);
            }
        }
        for gateway in [&first, &second] {
            until("both gateways' requests are in the totals", async || {
                let page = gateway.call(&Request::get("/_gateway/metrics")).await?;
                let samples = metrics::parse(&page.text()).map_err(anyhow::Error::msg)?;
                Ok((metrics::total(&samples, REQUESTS, &[("api", "agent")]) == 30.0).then_some(()))
            })
            .await?;
        }
        Ok(())
    })
}

#[test]
fn a_gateway_whose_redis_is_gone_serves_and_is_not_ready() -> Result<()> {
    run(async {
        let (gone, dify) = (ReservedPort::reserve()?, StandinDify::start()?);
        let yaml = format!(
            "state: {{ redis: \"redis://{}\" }}\nagents:\n  - name: dify\n    services: {{ api: \"{}\" }}\n",
            gone.address(),
            dify.api.url()
        );
        let gateway = Gateway::start(&yaml, Options::default()).await?;
        assert_eq!(gateway.call(&Request::get("/api/x")).await?.status(), 200);
        let ready = gateway
            .call(&Request::get("/_gateway/health/ready"))
            .await?;
        assert_eq!(ready.status(), 503);
        assert!(
            ready.text().contains("the store does not answer"),
            "{}",
            ready.text()
        );
        Ok(())
    })
}
