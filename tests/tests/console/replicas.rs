//! Several gateways on one Redis.

use anyhow::Result;
use spillway_tests::{
    Gateway, Options, Redis,
    client::Request,
    metrics::{self, REQUESTS},
    run,
    standin::{ReservedPort, StandinDify},
    until,
};

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
