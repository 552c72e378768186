//! Values that clients invent: keys that no app has, and more of them than anybody needs.

use std::sync::Arc;

use anyhow::{Context, Result};
use spillway_tests::{
    Gateway, Options, Redis, assert_dify_error,
    client::{Request, Response},
    metrics, run,
    standin::{Behaviour, StandinDify},
    until,
};
use tokio::task::JoinSet;

use crate::agent;

const FIVE_A_DAY: &str = "
      - rule_name: per_app
        rule_items:
        - limit_by_per_dify_app: ''
          limit_keys: [{ key: '*', query_per_minute: 5, query_per_day: 5 }]
        - limit_by_per_header: x-session
          limit_keys: [{ key: '*', query_per_day: 1000 }]
";

fn of(key: &str) -> Request {
    Request::get("/v1/info").bearer(key)
}

fn from(address: &str, key: &str) -> Request {
    of(key).header("X-Forwarded-For", address)
}

/// A gateway whose clients may bring so many new values a second. It waits long for Redis: what is decided without a
/// verdict, on a busy machine, cannot be taken back.
async fn start(redis: &str, dify: &StandinDify, most: u32) -> Result<Arc<Gateway>> {
    let yaml = agent(redis, dify, FIVE_A_DAY).replace(
        "state: { timeout: 1s,",
        &format!("state: {{ timeout: 1s, new_values_per_second: {most},"),
    );
    let yaml = format!("trusted_proxies: [127.0.0.0/8]\n{yaml}");
    Ok(Arc::new(Gateway::start(&yaml, Options::default()).await?))
}

/// All answers, to so many at a time.
async fn ask_all(gateway: &Arc<Gateway>, requests: Vec<Request>) -> Result<Vec<Response>> {
    let (mut answers, mut under_way) = (Vec::new(), JoinSet::new());
    for request in requests {
        if under_way.len() >= 16
            && let Some(answer) = under_way.join_next().await
        {
            answers.push(answer??);
        }
        let gateway = Arc::clone(gateway);
        under_way.spawn(async move { gateway.call(&request).await });
    }
    while let Some(answer) = under_way.join_next().await {
        answers.push(answer??);
    }
    Ok(answers)
}

/// How many keys there are in Redis.
fn size(redis: &Redis) -> Result<u64> {
    let answers = redis.tell(&["DBSIZE"])?;
    let size = answers.first().context("no answer")?;
    Ok(size.trim_start_matches(':').parse()?)
}

/// Waits until Redis has but its totals, and what the gateway itself says that it could not take back: on a machine that
/// is busy elsewhere a verdict may come too late.
async fn next_to_nothing_is_left(redis: &Redis, gateway: &Gateway) -> Result<()> {
    let waiting = until("next to nothing is left", async || {
        let keys = size(redis)?;
        if keys <= 2 {
            return Ok(Some(()));
        }
        let page = gateway.call(&Request::get("/_gateway/metrics")).await?;
        let late = metrics::parse(&page.text()).map_err(anyhow::Error::msg)?;
        let late = metrics::total(&late, "spillway_state_late_total", &[]);
        let log = gateway.log();
        let told = log
            .lines()
            .filter(|it| it.contains("stays counted"))
            .count();
        let lost = late + f64::from(u32::try_from(told)?);
        // A call is counted under two rules.
        let allowed = 2.0_f64.mul_add(lost, 2.0);
        Ok((f64::from(u32::try_from(keys)?) <= allowed).then_some(()))
    });
    let Err(error) = waiting.await else {
        return Ok(());
    };
    let log = gateway.log();
    let warned: Vec<&str> = log.lines().filter(|it| it.contains(" warn ")).collect();
    Err(error.context(format!("{:?}; {warned:?}", redis.tell(&["KEYS", "*"])?)))
}

#[test]
fn keys_that_dify_does_not_know_leave_nothing_and_those_that_it_knows_stay_counted() -> Result<()> {
    run(async {
        let (redis, dify) = (Redis::start().await?, StandinDify::start()?);
        dify.api.when("app-invented", Behaviour::Error(401));
        let gateway = start(&redis.url(), &dify, 100_000).await?;
        let invented = (0..1000).map(|number| {
            of(&format!("app-invented-{number}")).header("X-Session", &format!("s-{number}"))
        });
        for answer in ask_all(&gateway, invented.collect()).await? {
            assert_eq!(answer.status(), 401, "Dify's own answer: {}", answer.text());
        }
        // Totals, and what the client's new values of the last second cost.
        next_to_nothing_is_left(&redis, &gateway).await?;
        // One that was refused before is none that passed.
        dify.api.next(Behaviour::Error(401));
        assert_eq!(gateway.call(&of("app-known")).await?.status(), 401);
        next_to_nothing_is_left(&redis, &gateway).await?;
        for _ in 0..5 {
            assert_eq!(gateway.call(&of("app-known")).await?.status(), 200);
        }
        for _ in 0..3 {
            assert_dify_error(&gateway.call(&of("app-known")).await?, 429);
        }
        Ok(())
    })
}

async fn one_is_refused_and_others_are_served(redis: &str) -> Result<()> {
    let dify = StandinDify::start()?;
    let gateway = start(redis, &dify, 5).await?;
    let (known, one, neighbour) = ("app-known", "2001:db8::1", "2001:db8::ffff");
    assert_eq!(gateway.call(&from(one, known)).await?.status(), 200);
    let many = (0..200).map(|number| from(one, &format!("app-{number}")));
    let answers = ask_all(&gateway, many.collect()).await?;
    let refused: Vec<&Response> = answers.iter().filter(|it| it.status() == 429).collect();
    assert!(refused.len() > 50, "{} of 200 were refused", refused.len());
    for answer in refused {
        assert_dify_error(answer, 429);
        assert_eq!(
            answer.header("x-gateway-reason").as_deref(),
            Some("too_many_new_values")
        );
        assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
    }
    let served = answers.iter().filter(|it| it.status() == 200).count();
    // The known key was new itself, maybe in the same second.
    assert!(served >= 4, "{served} of 200 were served");
    assert_eq!(dify.api.requests().len(), served.saturating_add(1));
    // The same network, when it has just brought as many as it may.
    let more = (0..40).map(|number| from(neighbour, &format!("app-more-{number}")));
    let answers = ask_all(&gateway, more.collect()).await?;
    assert!(
        answers.iter().any(|it| it.status() == 429),
        "its /64 is one client"
    );
    for (address, key) in [(one, known), ("192.0.2.1", "app-other")] {
        let answer = gateway.call(&from(address, key)).await?;
        assert_eq!(answer.status(), 200, "{address} {key}: {}", answer.text());
    }
    until("a second later it may bring others", async || {
        let answer = gateway.call(&from(one, "app-later")).await?;
        Ok((answer.status() == 200).then_some(()))
    })
    .await
}

#[test]
fn an_address_that_brings_new_keys_too_fast_is_refused_and_others_are_served() -> Result<()> {
    run(async {
        let redis = Redis::start().await?;
        one_is_refused_and_others_are_served(&redis.url()).await
    })
}

#[test]
fn without_redis_as_well() -> Result<()> {
    run(one_is_refused_and_others_are_served(""))
}
