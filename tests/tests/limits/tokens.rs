//! Limits of tokens: the guide's example, and reservations on a real Redis.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use spillway_tests::{
    Gateway, Options, Redis, chat_request,
    client::{Request, Response},
    metrics, run,
    standin::{Behaviour, EventStream, Gate, StandinDify, StandinModel, UsagePlacement, Wait},
    stream_request, until, until_within,
};

pub const CHAT: &str = "/llm/v1/chat/completions";

/// The guide's number, as Higress' console writes it.
const GUIDE: &str = "
      - rule_name: default_rule
        global_threshold:
          token_per_minute: 500
        rejected_code: 429
        redis:
          service_name: redis.static
          service_port: 6379";

fn yaml(limit: &str, redis: Option<&Redis>, vendor: &StandinModel) -> String {
    let state = redis.map_or_else(String::new, |redis| {
        format!("state: {{ timeout: 1s, redis: \"{}\" }}\n", redis.url())
    });
    format!(
        "{state}models:\n  - name: llm\n    policies:\n      token_limits:{limit}\n    routes: [{{ targets: [{{ provider: vendor }}] }}]\nproviders:\n  - {{ name: vendor, base_url: \"{}\" }}\n",
        vendor.base_url()
    )
}

/// A call of some hundred tokens: 57 of its prompt, 52 of its answer.
fn hundred(more: &Value) -> Value {
    let mut request = chat_request("m", "word ".repeat(45).trim_end());
    if let (Value::Object(members), Value::Object(more)) = (&mut request, more) {
        members.extend(more.clone());
    }
    request
}

/// How many reservations there are whose lease has not ended.
fn reservations(redis: &Redis) -> Result<usize> {
    let count = "EVAL \"local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) local n = 0 for _, k in ipairs(redis.call('KEYS', '*:reserved')) do n = n + redis.call('ZCOUNT', k, now, '+inf') end return n\" 0";
    let answers = redis.tell(&[count])?;
    let answer = answers.first().context("no answer")?;
    Ok(answer.trim_start_matches(':').parse()?)
}

async fn none_are_reserved(redis: &Redis) -> Result<()> {
    until("nothing to be reserved", async || {
        Ok((reservations(redis)? == 0).then_some(()))
    })
    .await
}

async fn statuses(gateway: &Gateway, calls: usize, body: &Value) -> Result<Vec<Response>> {
    let mut answers = Vec::new();
    for _ in 0..calls {
        answers.push(gateway.call(&Request::json(CHAT, body)).await?);
    }
    Ok(answers)
}

#[test]
fn the_guides_500_tokens_a_minute() -> Result<()> {
    run(async {
        for (reserve, more, passing) in [
            ("none", json!({ "max_tokens": 512 }), 3..=5),
            ("expected", json!({ "max_tokens": 512 }), 3..=4),
            ("max", json!({ "max_tokens": 512 }), 1..=1),
            ("max", json!({ "max_tokens": 100 }), 3..=4),
            (
                "max",
                json!({ "max_tokens": 1, "max_completion_tokens": 10_000 }),
                1..=1,
            ),
        ] {
            let (redis, vendor) = (Redis::start().await?, StandinModel::start("vendor")?);
            let limit = format!("{GUIDE}\n        reserve: {reserve}");
            let yaml = yaml(&limit, Some(&redis), &vendor);
            let gateway = Gateway::start(&yaml, Options::default()).await?;
            let answers = statuses(&gateway, 7, &hundred(&more)).await?;
            let of = |status: u16| answers.iter().filter(move |it| it.status() == status);
            let passed = of(200).count();
            assert!(
                passing.contains(&passed),
                "{reserve} {more}: {passed} passed"
            );
            assert_eq!(passed + of(429).count(), 7);
            let refused = of(429).next().context("none refused")?;
            let error = refused.json()["error"].clone();
            assert_eq!(error["type"], "rate_limit_error");
            let message = error["message"].as_str().unwrap_or_default();
            assert!(message.contains("`default_rule` allows 500"), "{message}");
            for name in [
                "retry-after",
                "x-ratelimit-limit",
                "x-ratelimit-remaining-tokens",
                "ratelimit-policy",
            ] {
                assert!(refused.header(name).is_some(), "{name}");
            }
            none_are_reserved(&redis).await?;
        }
        Ok(())
    })
}

#[test]
fn fifty_streams_that_are_left_keep_nothing_and_are_paid() -> Result<()> {
    run(async {
        let (redis, vendor) = (Redis::start().await?, StandinModel::start("vendor")?);
        let limit = "\n      - { rule_name: r, reserve: max, global_threshold: { token_per_hour: 1000000 } }";
        let yaml = yaml(limit, Some(&redis), &vendor);
        let gateway = Gateway::start(&yaml, Options::default()).await?;
        let endless = EventStream::new()
            .long(100_000)
            .gap(Duration::from_millis(20));
        vendor.always(Behaviour::Stream(endless));
        let mut body = stream_request("m", "hi");
        body["max_tokens"] = 1_000.into();
        let mut running = Vec::new();
        for _ in 0..50 {
            let mut answer = gateway.begin(&Request::json(CHAT, &body)).await?;
            answer.next_block().await?.context("no content")?;
            running.push(answer);
        }
        assert_eq!(reservations(&redis)?, 50);
        drop(running);
        none_are_reserved(&redis).await?;
        let settled = until("all to be settled", async || {
            let answer = gateway.call(&Request::get("/_gateway/metrics")).await?;
            let samples = metrics::parse(&answer.text()).map_err(anyhow::Error::msg)?;
            let sum = |kind| {
                let labels = [("rule", "r"), ("kind", kind)];
                metrics::total(&samples, "spillway_token_limit_tokens_total", &labels)
            };
            let (settled, estimated) = (sum("settled"), sum("estimated"));
            Ok((settled > 50.0 * 5.0).then_some((settled, estimated)))
        })
        .await?;
        assert!(settled.1 <= settled.0, "{settled:?}");
        Ok(())
    })
}

#[test]
fn what_a_killed_process_had_reserved_is_free_when_its_lease_ends() -> Result<()> {
    run(async {
        let (redis, vendor) = (Redis::start().await?, StandinModel::start("vendor")?);
        let limit =
            "\n      - { rule_name: r, reserve: max, global_threshold: { token_per_hour: 60000 } }";
        let yaml = yaml(limit, Some(&redis), &vendor);
        let (dying, other) = (
            Gateway::start(&yaml, Options::default()).await?,
            Gateway::start(&yaml, Options::default()).await?,
        );
        vendor.when(
            "never ends",
            Behaviour::Stream(EventStream::new().wait_before(3, Wait::Release(Gate::new()))),
        );
        let mut body = stream_request("m", "never ends");
        body["max_tokens"] = 1_000.into();
        let mut running = Vec::new();
        for _ in 0..50 {
            let mut answer = dying.begin(&Request::json(CHAT, &body)).await?;
            answer.next_block().await?.context("no content")?;
            running.push(answer);
        }
        let mut large = chat_request("m", "hi");
        large["max_tokens"] = 50_000.into();
        let request = Request::json(CHAT, &large);
        assert_eq!(other.call(&request).await?.status(), 429);
        dying.kill()?;
        drop(running);
        let passed = async || {
            let answer = other.call(&request).await?;
            Ok((answer.status() == 200).then_some(()))
        };
        let lease = Duration::from_secs(60);
        until_within(lease, "the dead process' tokens to be free", passed).await?;
        none_are_reserved(&redis).await
    })
}

#[test]
fn without_redis_tokens_are_limited_on_one_machine_and_runs_of_dify_too() -> Result<()> {
    run(async {
        let (vendor, dify) = (StandinModel::start("vendor")?, StandinDify::start()?);
        let limit = "\n      - { rule_name: r, global_threshold: { token_per_hour: 30 } }";
        let agents = format!(
            "agents:\n  - name: dify\n    services: {{ api: \"{}\" }}\n    policies: {{ token_limits: [{{ rule_name: runs, rule_items: [{{ limit_by_per_dify_app: '', limit_keys: [{{ key: '*', token_per_hour: 10 }}] }}] }}] }}\n",
            dify.api.url()
        );
        let yaml = format!("{agents}{}", yaml(limit, None, &vendor));
        let gateway = Gateway::start(&yaml, Options::default()).await?;
        let answers = statuses(&gateway, 4, &hundred(&json!({}))).await?;
        let passed = answers.iter().filter(|it| it.status() == 200).count();
        assert_eq!(passed, 1);
        let body = json!({"inputs": {}, "query": "a b c d e f", "response_mode": "streaming", "user": "u"});
        let ask = |app: &str| Request::json("/v1/chat-messages", &body).bearer(app);
        assert_eq!(gateway.call(&ask("app-1")).await?.status(), 200);
        let refused = until("the run to be settled", async || {
            let answer = gateway.call(&ask("app-1")).await?;
            Ok((answer.status() == 429).then_some(answer))
        })
        .await?;
        assert_eq!(refused.json()["code"], "too_many_requests");
        assert!(
            refused.text().contains("Too many tokens"),
            "{}",
            refused.text()
        );
        assert_eq!(gateway.call(&ask("app-2")).await?.status(), 200);
        Ok(())
    })
}

#[test]
fn an_upstream_that_tells_no_usage_is_estimated() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        vendor.always(Behaviour::Stream(
            EventStream::new().long(50).usage(UsagePlacement::Never),
        ));
        let limit = "\n      - { rule_name: r, global_threshold: { token_per_hour: 1000000 } }";
        let gateway = Gateway::start(&yaml(limit, None, &vendor), Options::default()).await?;
        let request = Request::json(CHAT, &stream_request("m", "hi"));
        assert_eq!(gateway.call(&request).await?.status(), 200);
        until("the call to be logged as estimated", async || {
            Ok(gateway.log().contains("estimated=true").then_some(()))
        })
        .await
    })
}
