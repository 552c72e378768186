//! Request limits, on Redis and on the key-value store.

use std::sync::Arc;

use anyhow::Result;
use spillway_tests::{
    Gateway, Options, Redis, assert_dify_error,
    client::{Connection, Request, Response},
    run,
    standin::StandinDify,
};

mod at_once;
mod context_window;
mod distant;
mod explained;
mod models;
mod new_values;
mod phases;
mod state;
mod streams;
mod tls;
mod tokens;
mod told;

/// The guide's document, as it is.
const GUIDE: &str = r#"
      - rule_name: dify_higress_demo_rule
        rule_items:
        - Limit_by_header: x-app-id
          limit_keys:
          - key: 9a342******************3e1250b5
            query_per_minute: 1
        redis:
          service_name: dify-redis.dns
        show_limit_quota_header: true
"#;

/// With enough patience that a busy machine decides nothing.
fn agent(redis: &str, dify: &StandinDify, rate_limits: &str) -> String {
    format!(
        "state: {{ timeout: 1s, redis: \"{redis}\" }}\nagents:\n  - name: dify\n    services: {{ api: \"{}\" }}\n    policies:\n      rate_limits:{rate_limits}",
        dify.api.url()
    )
}

fn of_app(app: &str) -> Request {
    Request::new("POST", "/v1/chat-messages")
        .bearer("app-1")
        .header("X-App-Id", app)
}

#[test]
fn the_guides_document_limits_one_app_on_all_gateways_and_leaves_others_free() -> Result<()> {
    run(async {
        let (redis, dify) = (Redis::start().await?, StandinDify::start()?);
        let yaml = agent(&redis.url(), &dify, GUIDE);
        let first = Gateway::start(&yaml, Options::default()).await?;
        let second = Gateway::start(&yaml, Options::default()).await?;
        let limited = of_app("9a342******************3e1250b5");

        let passed = first.call(&limited).await?;
        assert_ne!(passed.status(), 429, "{}", passed.text());
        assert_eq!(passed.header("x-ratelimit-limit").as_deref(), Some("1"));
        assert_eq!(passed.header("x-ratelimit-remaining").as_deref(), Some("0"));

        let refused = second.call(&limited).await?;
        assert_dify_error(&refused, 429);
        assert_eq!(
            refused.header("x-gateway-reason").as_deref(),
            Some("rate_limited")
        );
        // Those who are refused do not all come back at once.
        for (name, max) in [("x-ratelimit-reset", 70), ("retry-after", 77)] {
            let seconds: u64 = refused.header(name).unwrap_or_default().parse()?;
            assert!((1..=max).contains(&seconds), "{name}: {seconds}");
        }
        for name in ["ratelimit-policy", "ratelimit"] {
            assert!(refused.header(name).is_some(), "{name} is missing");
        }

        for gateway in [&first, &second] {
            for _ in 0..3 {
                let other = gateway.call(&of_app("other")).await?;
                assert_ne!(other.status(), 429, "{}", other.text());
                assert_eq!(other.header("x-ratelimit-limit"), None);
            }
        }
        Ok(())
    })
}

#[test]
fn each_app_is_limited_by_its_key_on_all_gateways_and_no_key_is_kept() -> Result<()> {
    run(async {
        let (redis, dify) = (Redis::start().await?, StandinDify::start()?);
        let rule = "
      - rule_name: per_app
        rule_items:
        - limit_by_per_dify_app: ''
          limit_keys: [{ key: '*', query_per_minute: 1 }]
";
        let yaml = agent(&redis.url(), &dify, rule);
        let first = Gateway::start(&yaml, Options::default()).await?;
        let second = Gateway::start(&yaml, Options::default()).await?;
        let body = serde_json::json!({"inputs": {}, "query": "q", "response_mode": "blocking", "user": "u"});
        let of = |key: &str| Request::json("/v1/chat-messages", &body).bearer(key);
        for key in ["app-first-secret", "app-other-secret"] {
            let passed = first.call(&of(key)).await?;
            assert_eq!(passed.status(), 200, "{key}: {}", passed.text());
            for gateway in [&second, &first] {
                assert_dify_error(&gateway.call(&of(key)).await?, 429);
            }
        }
        assert_eq!(
            dify.api.requests().len(),
            2,
            "a refused call does not reach Dify"
        );
        let kept = redis.everything()?;
        assert!(kept.contains("spillway"), "nothing in Redis: {kept}");
        for text in [kept, first.log(), second.log()] {
            assert!(!text.contains("-secret"), "a key is kept: {text}");
        }
        Ok(())
    })
}

/// So many calls at once, spread over the gateways; how many passed.
async fn passed_of(gateways: &[Arc<Gateway>], calls: usize, request: &Request) -> Result<usize> {
    let callers: Vec<_> = gateways
        .iter()
        .cycle()
        .take(calls)
        .map(|gateway| {
            let (address, request) = (gateway.address(), request.clone());
            tokio::spawn(async move {
                let answer: Response = Connection::open(address)
                    .await?
                    .call(&request)
                    .await?
                    .finish()
                    .await?;
                anyhow::Ok(answer.status() == 200)
            })
        })
        .collect();
    let mut passed: usize = 0;
    for caller in callers {
        passed = passed.saturating_add(usize::from(caller.await??));
    }
    Ok(passed)
}

const TEN_A_MINUTE: &str = "
      - rule_name: ten
        global_threshold: { query_per_minute: 10 }
";

#[test]
fn of_fifty_calls_at_once_on_two_gateways_exactly_ten_pass() -> Result<()> {
    run(async {
        let (redis, dify) = (Redis::start().await?, StandinDify::start()?);
        let yaml = agent(&redis.url(), &dify, TEN_A_MINUTE);
        let gateways = [
            Arc::new(Gateway::start(&yaml, Options::default()).await?),
            Arc::new(Gateway::start(&yaml, Options::default()).await?),
        ];
        assert_eq!(
            passed_of(&gateways, 50, &Request::get("/v1/info").bearer("app-1")).await?,
            10
        );
        Ok(())
    })
}

#[test]
fn without_redis_never_more_than_ten_pass_and_one_after_the_other_exactly_ten() -> Result<()> {
    run(async {
        let dify = StandinDify::start()?;
        let yaml = agent("", &dify, TEN_A_MINUTE);
        let request = Request::get("/v1/info").bearer("app-1");
        let at_once = Arc::new(Gateway::start(&yaml, Options::default()).await?);
        let passed = passed_of(&[at_once], 40, &request).await?;
        assert!((1..=10).contains(&passed), "{passed} passed");

        let in_turn = Gateway::start(&yaml, Options::default()).await?;
        let mut passed = 0;
        for _ in 0..15 {
            passed += u32::from(in_turn.call(&request).await?.status() != 429);
        }
        assert_eq!(passed, 10);
        Ok(())
    })
}

#[test]
fn the_operators_own_words_and_code_are_sent_and_a_dry_run_only_counts() -> Result<()> {
    run(async {
        let dify = StandinDify::start()?;
        let rules = "
      - rule_name: words
        rule_items:
        - limit_by_param: who
          limit_keys: [{ key: me, query_per_hour: 1 }]
        rejected_code: 503
        rejected_msg: come back later
      - rule_name: trial
        global_threshold: { query_per_hour: 1 }
        dry_run: true
";
        let gateway = Gateway::start(&agent("", &dify, rules), Options::default()).await?;
        let mine = Request::get("/v1/info?who=me").bearer("app-1");
        assert_eq!(gateway.call(&mine).await?.status(), 200);
        let refused = gateway.call(&mine).await?;
        assert_eq!(
            (refused.status(), refused.text().as_str()),
            (503, "come back later")
        );
        for _ in 0..3 {
            let other = Request::get("/v1/info?who=you").bearer("app-1");
            assert_eq!(
                gateway.call(&other).await?.status(),
                200,
                "a dry run refuses nobody"
            );
        }
        Ok(())
    })
}
