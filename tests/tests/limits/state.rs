//! A store that is gone, frozen, and back.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Result, ensure};
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
fn a_frozen_redis_lets_all_pass_and_counts_again_when_it_is_back() -> Result<()> {
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

/// A gateway that lets pass what it cannot count, and its full quota used up.
async fn used_up(redis: &Redis, dify: &StandinDify) -> Result<Gateway> {
    let yaml = agent(&redis.url(), dify, TEN_A_MINUTE);
    let gateway = Gateway::start(&yaml, Options::default()).await?;
    for _ in 0..10 {
        assert_eq!(gateway.call(&request()).await?.status(), 200);
    }
    assert_eq!(gateway.call(&request()).await?.status(), 429);
    Ok(gateway)
}

fn request() -> Request {
    Request::get("/v1/info").bearer("app-1")
}

async fn all_pass(gateway: &Gateway) -> Result<()> {
    for _ in 0..12 {
        let answer = gateway.call(&request()).await?;
        ensure!(answer.status() == 200, "{}", answer.text());
    }
    Ok(())
}

async fn until_it_holds(gateway: &Gateway) -> Result<()> {
    until("the limit holds again", async || {
        let answer = gateway.call(&request()).await?;
        Ok((answer.status() == 429).then_some(()))
    })
    .await
}

#[test]
fn while_redis_is_stopped_all_pass_and_afterwards_the_limit_holds_again() -> Result<()> {
    run(async {
        let (mut redis, dify) = (Redis::start().await?, StandinDify::start()?);
        let gateway = used_up(&redis, &dify).await?;
        redis.kill();
        all_pass(&gateway).await?;
        redis.restart().await?;
        until_it_holds(&gateway).await
    })
}

#[test]
fn a_full_redis_refuses_nobody_until_it_has_room_again() -> Result<()> {
    run(async {
        let (redis, dify) = (Redis::start().await?, StandinDify::start()?);
        redis.tell(&["CONFIG SET maxmemory 1"])?;
        let yaml = agent(&redis.url(), &dify, TEN_A_MINUTE);
        let gateway = Gateway::start(&yaml, Options::default()).await?;
        all_pass(&gateway).await?;
        redis.tell(&["CONFIG SET maxmemory 0"])?;
        until_it_holds(&gateway).await
    })
}

/// Calls from several callers at once, each one after the other, for as long as `faults` takes; how often each status
/// was answered.
async fn under_load(
    gateway: &Gateway,
    faults: impl Future<Output = Result<()>>,
) -> Result<BTreeMap<u16, usize>> {
    let (over, statuses) = (AtomicBool::new(false), Mutex::new(BTreeMap::new()));
    let caller = async || {
        while !over.load(Ordering::Relaxed) {
            let status = gateway.call(&request()).await?.status();
            let mut statuses = statuses.lock().unwrap_or_else(PoisonError::into_inner);
            let count: &mut usize = statuses.entry(status).or_default();
            *count = count.saturating_add(1);
        }
        anyhow::Ok(())
    };
    let faults = async {
        let outcome = faults.await;
        over.store(true, Ordering::Relaxed);
        outcome
    };
    let (outcome, first, second, third) = tokio::join!(faults, caller(), caller(), caller());
    outcome.and(first).and(second).and(third)?;
    Ok(statuses
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner))
}

#[test]
fn under_load_every_request_is_answered_through_every_fault_and_verdicts_follow_on_error()
-> Result<()> {
    run(async {
        for (on_error, expected) in [("allow", [200, 429].as_slice()), ("deny", &[200, 429, 503])] {
            let (mut redis, dify) = (Redis::start().await?, StandinDify::start()?);
            let rules = format!("{TEN_A_MINUTE}        on_error: {on_error}\n");
            let yaml = agent(&redis.url(), &dify, &rules);
            let gateway = Gateway::start(&yaml, Options::default()).await?;
            let failed = if on_error == "allow" { 200 } else { 503 };
            let until_status = async |status: u16| {
                let what = format!("{status} with on_error: {on_error}");
                until(&what, async || {
                    let answer = gateway.call(&request()).await?;
                    Ok((answer.status() == status).then_some(()))
                })
                .await
            };
            let faults = async {
                until_status(429).await?;
                redis.freeze(true)?;
                until_status(failed).await?;
                redis.freeze(false)?;
                until_status(429).await?;
                redis.kill();
                until_status(failed).await?;
                redis.restart().await?;
                // What is full forgets nothing: a quota that is used up stays so, as refusals are not written.
                until_status(429).await?;
                redis.tell(&["FLUSHALL", "CONFIG SET maxmemory 1"])?;
                until_status(failed).await?;
                redis.tell(&["CONFIG SET maxmemory 0"])?;
                until_status(429).await
            };
            let statuses = under_load(&gateway, faults).await?;
            let seen: Vec<u16> = statuses.keys().copied().collect();
            assert_eq!(seen, expected, "on_error: {on_error}: {statuses:?}");
        }
        Ok(())
    })
}
