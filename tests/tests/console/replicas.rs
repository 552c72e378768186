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
fn a_gateway_whose_redis_is_gone_is_not_ready_where_a_policy_cannot_do_without() -> Result<()> {
    run(async {
        let (gone, dify) = (ReservedPort::reserve()?, StandinDify::start()?);
        for (on_error, status) in [("deny", 503), ("allow", 200)] {
            let yaml = format!(
                r#"
state: {{ redis: "redis://{}", on_error: {on_error} }}
agents:
  - name: dify
    services: {{ api: "{}" }}
    policies: {{ rate_limits: [{{ rule_name: all, global_threshold: {{ query_per_second: 100 }} }}] }}
"#,
                gone.address(),
                dify.api.url()
            );
            let gateway = Gateway::start(&yaml, Options::default()).await?;
            let served = if status == 200 { 200 } else { 503 };
            assert_eq!(
                gateway.call(&Request::get("/api/x")).await?.status(),
                served
            );
            let ready = gateway
                .call(&Request::get("/_gateway/health/ready"))
                .await?;
            assert_eq!(ready.status(), status, "{on_error}: {}", ready.text());
            assert!(
                ready.text().contains("the store does not answer"),
                "{}",
                ready.text()
            );
        }
        Ok(())
    })
}

#[test]
fn a_gateway_on_a_redis_that_takes_no_writes_is_not_ready() -> Result<()> {
    run(async {
        let (redis, dify) = (Redis::start().await?, StandinDify::start()?);
        redis.tell(&["REPLICAOF 127.0.0.1 1"])?;
        let yaml = format!(
            r#"
state: {{ redis: "{}", on_error: deny }}
agents:
  - name: dify
    services: {{ api: "{}" }}
    policies: {{ rate_limits: [{{ rule_name: all, global_threshold: {{ query_per_second: 100 }} }}] }}
"#,
            redis.url(),
            dify.api.url()
        );
        let gateway = Gateway::start(&yaml, Options::default()).await?;
        let ready = gateway
            .call(&Request::get("/_gateway/health/ready"))
            .await?;
        assert_eq!(ready.status(), 503);
        assert!(
            ready.text().contains("must name the primary"),
            "{}",
            ready.text()
        );
        Ok(())
    })
}
