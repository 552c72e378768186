//! A store that is gone, frozen, and back.

use anyhow::Result;
use spillway_tests::{
    Gateway, Options, Redis,
    client::Request,
    run,
    standin::{ReservedPort, StandinDify},
    until,
};

use crate::{TEN_A_MINUTE, agent};

#[test]
fn without_the_store_on_error_decides() -> Result<()> {
    run(async {
        let (gone, dify) = (ReservedPort::reserve()?, StandinDify::start()?);
        let redis = format!("redis://{}", gone.address());
        let request = Request::get("/v1/info").bearer("app-1");

        let allowing =
            Gateway::start(&agent(&redis, &dify, TEN_A_MINUTE), Options::default()).await?;
        for _ in 0..12 {
            assert_eq!(allowing.call(&request).await?.status(), 200);
        }
        assert!(
            allowing.log().contains("the store does not answer"),
            "{}",
            allowing.log()
        );

        let deny = format!("{TEN_A_MINUTE}        on_error: deny\n");
        let denying = Gateway::start(&agent(&redis, &dify, &deny), Options::default()).await?;
        let refused = denying.call(&request).await?;
        assert_eq!(refused.status(), 503);
        assert_eq!(
            refused.header("x-gateway-reason").as_deref(),
            Some("state_unavailable")
        );
        let ready = denying
            .call(&Request::get("/_gateway/health/ready"))
            .await?;
        assert_eq!(ready.status(), 503, "a policy that denies cannot work");
        Ok(())
    })
}

#[test]
fn a_frozen_redis_holds_nobody_up_and_counts_again_when_it_is_back() -> Result<()> {
    run(async {
        let (redis, dify) = (Redis::start().await?, StandinDify::start()?);
        let gateway = Gateway::start(
            &agent(&redis.url(), &dify, TEN_A_MINUTE),
            Options::default(),
        )
        .await?;
        let request = Request::get("/v1/info").bearer("app-1");
        for _ in 0..10 {
            assert_eq!(gateway.call(&request).await?.status(), 200);
        }
        assert_eq!(gateway.call(&request).await?.status(), 429);
        redis.freeze(true)?;
        for _ in 0..10 {
            assert_eq!(
                gateway.call(&request).await?.status(),
                200,
                "allowed without counting"
            );
        }
        redis.freeze(false)?;
        until("the limit holds again", async || {
            Ok((gateway.call(&request).await?.status() == 429).then_some(()))
        })
        .await
    })
}
