//! A Redis that is far away: 50 to 100 ms is another region, 260 ms another continent over a bad line.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use spillway_tests::{
    Certificates, Distant, Gateway, Options, Redis,
    client::{Connection, Request},
    metrics, run,
    standin::StandinDify,
    unless_harsh, until,
};
use tokio::task::JoinSet;

use crate::agent;

const DROPPED: &str =
    "its connections are dropped all the time, and each new one is several times as far away";

const SEVENTY: &str = "
      - rule_name: seventy
        global_threshold: { query_per_second: 1000, query_per_minute: 70 }
        on_error: allow
";

/// Connections to Redis where late answers do not cost one each: two of each instance, of which a slow machine needs
/// more, as calls pile up.
const fn max_connections(calls: u32) -> u64 {
    calls as u64 / 2
}

/// With `state.timeout` as it is where nobody says it.
fn impatient(redis: &str, dify: &StandinDify, rules: &str) -> String {
    agent(redis, dify, rules).replace("timeout: 1s, ", "")
}

fn request() -> Request {
    Request::get("/v1/info").bearer("app-1")
}

/// So many calls, one every 10 ms whether others are answered or not; how many were answered so.
async fn answered_so(gateway: &Gateway, calls: u32, status: u16) -> Result<u32> {
    let mut under_way = JoinSet::new();
    let mut every = tokio::time::interval(Duration::from_millis(10));
    for _ in 0..calls {
        every.tick().await;
        let address = gateway.address();
        under_way.spawn(async move {
            let connection = Connection::open(address).await?;
            let answer = connection.call(&request()).await?.finish().await?;
            anyhow::Ok(answer.status())
        });
    }
    let mut answered: u32 = 0;
    while let Some(answer) = under_way.join_next().await {
        answered = answered.saturating_add(u32::from(answer?? == status));
    }
    Ok(answered)
}

async fn ready(gateway: &Gateway) -> Result<(u16, String)> {
    let answer = gateway
        .call(&Request::get("/_gateway/health/ready"))
        .await?;
    Ok((answer.status(), answer.text()))
}

/// How often instances left the store alone.
async fn ejected(gateway: &Gateway) -> Result<f64> {
    let page = gateway.call(&Request::get("/_gateway/metrics")).await?;
    let samples = metrics::parse(&page.text()).map_err(anyhow::Error::msg)?;
    let opened = [("to", "opened")];
    Ok(metrics::total(
        &samples,
        "spillway_state_transitions_total",
        &opened,
    ))
}

/// Of how many calls Redis decided, and how many `on_error` let pass.
async fn decided(gateway: &Gateway, calls: u32) -> Result<(u32, u32)> {
    until("all calls to be counted", async || {
        let page = gateway.call(&Request::get("/_gateway/metrics")).await?;
        let samples = metrics::parse(&page.text()).map_err(anyhow::Error::msg)?;
        let of = |labels: &[(&str, &str)]| {
            metrics::total(&samples, "spillway_rate_limit_requests_total", labels)
        };
        let (all, undecided) = (of(&[]), of(&[("verdict", "state_failed_allowed")]));
        let is_whole = (all - f64::from(calls)).abs() < 0.5;
        let undecided = (0..=calls).find(|count| (f64::from(*count) - undecided).abs() < 0.5);
        Ok(undecided
            .filter(|_| is_whole)
            .map(|undecided| (calls.saturating_sub(undecided), undecided)))
    })
    .await
}

/// The quota and no more passes, but for what could not be decided because the machine stood still meanwhile.
async fn seventy_pass(far: &Distant, gateway: &Gateway) -> Result<()> {
    let passed = answered_so(gateway, 200, 200).await?;
    let (decided, undecided) = decided(gateway, 200).await?;
    assert!(
        (70..=undecided.saturating_add(70)).contains(&passed),
        "{passed} passed, {undecided} undecided:\n{}",
        gateway.log()
    );
    assert!(
        decided > undecided,
        "the distance is no reason: {undecided} undecided\n{}",
        gateway.log()
    );
    let connections = far.connections();
    assert!(
        connections <= max_connections(200),
        "{connections} connections"
    );
    let (status, told) = ready(gateway).await?;
    assert!(
        status == 200 && told.contains("degraded") && told.contains("ms away"),
        "{told}"
    );
    Ok(())
}

#[test]
fn of_two_hundred_calls_the_quota_passes() -> Result<()> {
    if !unless_harsh(DROPPED) {
        return Ok(());
    }
    run(async {
        for delay in [50, 80] {
            let (redis, dify) = (Redis::start().await?, StandinDify::start()?);
            let far = Distant::start(redis.address(), Duration::from_millis(delay))?;
            let yaml = impatient(&format!("redis://{}", far.address()), &dify, SEVENTY);
            let gateway = Gateway::start(&yaml, Options::default()).await?;
            seventy_pass(&far, &gateway).await?;
        }
        Ok(())
    })
}

#[test]
fn over_tls_as_well() -> Result<()> {
    if !unless_harsh(DROPPED) {
        return Ok(());
    }
    run(async {
        let certificates = Certificates::make().await?;
        let redis = Redis::start_with_tls(&certificates, &[]).await?;
        let dify = StandinDify::start()?;
        let server = redis.tls_address().unwrap_or(redis.address());
        let far = Distant::start(server, Duration::from_millis(80))?;
        let yaml = impatient(&format!("rediss://{}", far.address()), &dify, SEVENTY);
        let trusting = Options::default()
            .environment("SSL_CERT_FILE", &certificates.authority().to_string_lossy());
        let gateway = Gateway::start(&yaml, trusting).await?;
        seventy_pass(&far, &gateway).await
    })
}

/// Requests do not wait for a Redis that is further away than this; but nor do they take it for dead, and its
/// connections stay.
#[test]
fn a_redis_too_far_away_decides_nothing_and_is_told() -> Result<()> {
    if !unless_harsh(DROPPED) {
        return Ok(());
    }
    run(async {
        for (on_error, passed, status) in [("allow", 200, 200), ("deny", 503, 503)] {
            let (redis, dify) = (Redis::start().await?, StandinDify::start()?);
            let far = Distant::start(redis.address(), Duration::from_millis(260))?;
            let rules = SEVENTY.replace("on_error: allow", &format!("on_error: {on_error}"));
            let yaml = impatient(&format!("redis://{}", far.address()), &dify, &rules);
            let gateway = Arc::new(Gateway::start(&yaml, Options::default()).await?);
            assert_eq!(answered_so(&gateway, 100, passed).await?, 100);
            assert!(ejected(&gateway).await? < 0.5, "{}", gateway.log());
            let connections = far.connections();
            assert!(
                connections <= max_connections(100),
                "{connections} connections"
            );
            let (code, told) = ready(&gateway).await?;
            assert!(
                code == status && told.contains("ms away") && told.contains("140 ms at most"),
                "{told}"
            );
        }
        Ok(())
    })
}

/// The same Redis with more patience.
#[test]
fn with_a_longer_timeout_it_counts_again() -> Result<()> {
    if !unless_harsh(DROPPED) {
        return Ok(());
    }
    run(async {
        let (redis, dify) = (Redis::start().await?, StandinDify::start()?);
        let far = Distant::start(redis.address(), Duration::from_millis(350))?;
        let yaml = agent(&format!("redis://{}", far.address()), &dify, SEVENTY);
        let gateway = Gateway::start(&yaml, Options::default()).await?;
        let passed = answered_so(&gateway, 100, 200).await?;
        let (decided, undecided) = decided(&gateway, 100).await?;
        assert!(
            (70..=undecided.saturating_add(70)).contains(&passed) && decided > undecided,
            "{passed} passed, {undecided} undecided"
        );
        Ok(())
    })
}
