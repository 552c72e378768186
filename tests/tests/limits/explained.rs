//! What is wrong with a Redis that answers, in the log, in words that say what to do.

use anyhow::{Context, Result};
use spillway_tests::{
    Gateway, Options, Redis,
    client::Request,
    run,
    standin::{ReservedPort, StandinDify},
    until,
};

use crate::{TEN_A_MINUTE, agent};

/// Calls a gateway whose limits are kept in this Redis until its log says `sentence`; the requests are refused, as
/// they could not be counted. The log must not tell the password.
async fn assert_explained(address: &str, sentence: &str) -> Result<()> {
    let dify = StandinDify::start()?;
    let deny = format!("{TEN_A_MINUTE}        on_error: deny\n");
    let gateway = Gateway::start(&agent(address, &dify, &deny), Options::default()).await?;
    let request = Request::get("/v1/info").bearer("app-1");
    let what = format!("the log to say: {sentence}");
    let logged = until(&what, async || {
        let answer = gateway.call(&request).await?;
        assert_eq!(answer.status(), 503, "{}", answer.text());
        Ok(gateway.log().contains(sentence).then_some(()))
    });
    logged.await.with_context(|| gateway.log())?;
    assert!(!gateway.log().contains("pass-"), "{}", gateway.log());
    Ok(())
}

fn with_password(redis: &Redis, user_and_password: &str) -> String {
    redis
        .url()
        .replace("redis://", &format!("redis://{user_and_password}@"))
}

#[test]
fn a_missing_and_a_wrong_password_are_named() -> Result<()> {
    run(async {
        let redis = Redis::start_with(&["--requirepass", "pass-right"]).await?;
        assert_explained(&redis.url(), "Redis wants a password").await?;
        let wrong = with_password(&redis, ":pass-wrong");
        assert_explained(&wrong, "does not take the user name or password").await?;
        let stranger = with_password(&redis, "nobody:pass-right");
        assert_explained(&stranger, "does not take the user name or password").await
    })
}

#[test]
fn a_user_without_the_rights_is_told_which() -> Result<()> {
    run(async {
        let arguments = ["--user", "weak", "on", ">pass-1", "~spillway:*", "+@read"];
        let redis = Redis::start_with(&arguments).await?;
        let weak = with_password(&redis, "weak:pass-1");
        assert_explained(&weak, "Its ACL needs ~spillway:* +@scripting").await?;
        // Everything but the clock, which the script asks.
        redis.tell(&["ACL SETUSER weak +@scripting +@write"])?;
        assert_explained(&weak, "Its ACL needs ~spillway:* +@scripting").await
    })
}

#[test]
fn a_replica_is_told_from_a_primary() -> Result<()> {
    run(async {
        let primary = ReservedPort::reserve()?.address();
        let port = primary.port().to_string();
        let redis = Redis::start_with(&["--replicaof", "127.0.0.1", &port]).await?;
        assert_explained(&redis.url(), "must name the primary").await
    })
}

#[test]
fn a_full_redis_is_named() -> Result<()> {
    run(async {
        let redis = Redis::start_with(&["--maxmemory", "1"]).await?;
        assert_explained(&redis.url(), "Raise its `maxmemory`").await
    })
}

#[test]
fn a_redis_that_is_still_loading_is_waited_for() -> Result<()> {
    run(async {
        let mut redis = Redis::start_with(&[
            // Loads for 10 s, and answers after every key meanwhile.
            "--rdbcompression",
            "no",
            "--key-load-delay",
            "5000",
            "--loading-process-events-interval-bytes",
            "1024",
        ])
        .await?;
        let value = "x".repeat(2048);
        let keys: Vec<String> = (0..2000)
            .map(|number| format!("SET {number} {value}"))
            .collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        redis.tell(&keys)?;
        assert_eq!(redis.tell(&["SAVE"])?, ["+OK"]);
        redis.restart().await?;
        assert_explained(&redis.url(), "Redis is loading its data").await
    })
}
