//! Places at once, when a client stops reading or Redis is held up: nobody keeps one for long without a run.

use anyhow::Result;
use spillway_tests::{
    Gateway, Options, Redis,
    client::Request,
    run,
    standin::{Behaviour, Reply, StandinDify},
    unless_harsh, until,
};

/// More than the sockets between take in.
const LARGE: usize = 32 * 1024 * 1024;

fn yaml(redis: &Redis, dify: &StandinDify) -> String {
    format!(
        r#"
state: {{ timeout: 1s, redis: "{}" }}
agents:
  - name: dify
    services: {{ api: "{}" }}
    timeouts: {{ idle: 300ms }}
    policies:
      rate_limits:
        - rule_name: at_once
          rule_items: [{{ limit_by_per_service: '', limit_keys: [{{ key: '*', concurrency: 1 }}] }}]
"#,
        redis.url(),
        dify.api.url()
    )
}

#[test]
fn a_client_that_stops_reading_loses_its_place() -> Result<()> {
    run(async {
        let (redis, dify) = (Redis::start().await?, StandinDify::start()?);
        let gateway = Gateway::start(&yaml(&redis, &dify), Options::default()).await?;
        dify.api.when(
            "flood",
            Behaviour::Reply(Reply::new(200).body(vec![b'x'; LARGE])),
        );
        let mut stuck = gateway.connect().await?;
        stuck
            .send(&Request::get("/v1/info?mark=flood").bearer("app-1"))
            .await?;
        // Or the place might be the other request's own.
        dify.api.wait_for_request("flood").await?;
        let other = Request::get("/v1/info").bearer("app-1");
        until("the place to be taken", async || {
            Ok((gateway.call(&other).await?.status() == 429).then_some(()))
        })
        .await?;
        until("the place to be free again", async || {
            Ok((gateway.call(&other).await?.status() == 200).then_some(()))
        })
        .await?;
        drop(stuck);
        gateway.assert_no_trap();
        Ok(())
    })
}

/// Redis runs the commands of calls that were given up when it goes on; by the leases' end their places would be
/// free only after half a minute.
#[test]
fn a_redis_that_was_held_up_keeps_no_place_of_a_call_that_went_on_without_it() -> Result<()> {
    if !unless_harsh("its connection may be dropped before the given up call has gone out") {
        return Ok(());
    }
    run(async {
        let (redis, dify) = (Redis::start().await?, StandinDify::start()?);
        let gateway = Gateway::start(&yaml(&redis, &dify), Options::default()).await?;
        let request = Request::get("/v1/info").bearer("app-1");
        assert_eq!(gateway.call(&request).await?.status(), 200);
        until("the first call's place to be free", async || {
            Ok((places(&redis)? == 0).then_some(()))
        })
        .await?;
        redis.freeze(true)?;
        assert_eq!(
            gateway.call(&request).await?.status(),
            200,
            "goes on uncounted"
        );
        redis.freeze(false)?;
        until("the given up call to have come to Redis", async || {
            Ok((calls(&redis)? >= 2).then_some(()))
        })
        .await?;
        until("its place to be free", async || {
            Ok((places(&redis)? == 0).then_some(()))
        })
        .await
    })
}

fn places(redis: &Redis) -> Result<u64> {
    let script = "EVAL \"local n = 0; for _, k in ipairs(redis.call('KEYS', 'spillway:{limit}:*:under_way')) do n = n + redis.call('ZCARD', k) end; return n\" 0";
    number(redis, script)
}

/// How often it was asked how many are in flight, as each admission here asks once.
fn calls(redis: &Redis) -> Result<u64> {
    let script = "EVAL \"return tonumber(string.match(redis.call('INFO', 'commandstats'), 'cmdstat_zcount:calls=(%d+)'))\" 0";
    number(redis, script)
}

fn number(redis: &Redis, command: &str) -> Result<u64> {
    let answers = redis.tell(&[command])?;
    let answer = answers.concat();
    Ok(answer.trim_start_matches(':').parse()?)
}
