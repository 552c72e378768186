//! How many may be in flight at once.

use std::sync::Arc;

use anyhow::Result;
use serde_json::json;
use spillway_tests::{
    Gateway, Options, Redis, assert_dify_error,
    client::{End, Request},
    run,
    standin::{Behaviour, EventStream, Gate, StandinDify},
    until,
};

fn yaml(redis: &Redis, dify: &StandinDify, dimension: &str, more: &str) -> String {
    format!(
        "state: {{ timeout: 1s, redis: \"{}\" }}\nagents:\n  - name: dify\n    services: {{ api: \"{}\" }}\n    policies:\n      rate_limits:\n        - rule_name: at_once\n          rule_items: [{{ {dimension}: '', limit_keys: [{{ key: '*', concurrency: 2 }}] }}]\n{more}",
        redis.url(),
        dify.api.url()
    )
}

fn streaming(app: &str) -> Request {
    let body = json!({"inputs": {}, "query": "q", "response_mode": "streaming", "user": "u"});
    Request::json("/v1/chat-messages", &body).bearer(app)
}

#[test]
fn no_more_run_at_once_on_all_gateways_and_an_ended_one_makes_room() -> Result<()> {
    run(async {
        let (redis, dify) = (Redis::start().await?, StandinDify::start()?);
        let yaml = yaml(&redis, &dify, "limit_by_per_dify_app", "");
        let first = Gateway::start(&yaml, Options::default()).await?;
        let second = Gateway::start(&yaml, Options::default()).await?;
        let gate = Gate::new();
        dify.api
            .always(Behaviour::Stream(EventStream::new().gated(&gate)));
        let mut running = Vec::new();
        for gateway in [&first, &second] {
            running.push(gateway.begin(&streaming("app-1")).await?);
        }
        for gateway in [&first, &second] {
            let refused = gateway.call(&streaming("app-1")).await?;
            assert_dify_error(&refused, 429);
            assert!(refused.text().contains("at once"), "{}", refused.text());
            assert!(refused.header("retry-after").is_some());
        }
        let other = first.begin(&streaming("app-2")).await?;
        assert_eq!(other.status(), 200, "another app is free");
        for _ in 0..40 {
            gate.release();
        }
        for running in running {
            assert_eq!(running.finish().await?.end, End::Clean);
        }
        dify.api.always(Behaviour::Normal);
        until("room for another run", async || {
            let answer = second.call(&streaming("app-1")).await?;
            Ok((answer.status() == 200).then_some(()))
        })
        .await
    })
}

#[test]
fn of_fifty_calls_at_once_two_run_and_a_client_that_leaves_makes_room() -> Result<()> {
    run(async {
        let (redis, dify) = (Redis::start().await?, StandinDify::start()?);
        let yaml = yaml(
            &redis,
            &dify,
            "limit_by_per_service",
            "          rejected_code: 503\n",
        );
        let gateway = Arc::new(Gateway::start(&yaml, Options::default()).await?);
        let gate = Gate::new();
        dify.api.always(Behaviour::held(&gate, Behaviour::Normal));
        let calls: Vec<_> = (0..50)
            .map(|_| {
                let gateway = Arc::clone(&gateway);
                tokio::spawn(async move {
                    let answer = gateway.call(&streaming("app-1")).await?;
                    anyhow::Ok(answer.status())
                })
            })
            .collect();
        until("all but two to be refused", async || {
            let refused = calls.iter().filter(|call| call.is_finished()).count();
            Ok((refused == 48).then_some(()))
        })
        .await?;
        for _ in 0..2 {
            gate.release();
        }
        let mut passed = 0;
        for call in calls {
            match call.await?? {
                200 => passed += 1,
                status => assert_eq!(status, 503),
            }
        }
        assert_eq!(passed, 2);

        dify.api
            .always(Behaviour::Stream(EventStream::new().gated(&gate)));
        let mut left = gateway.begin(&streaming("app-1")).await?;
        gate.release();
        left.next_block().await?;
        drop(left);
        dify.api.always(Behaviour::Normal);
        // The stream's next event finds nobody; then its place is free.
        for _ in 0..40 {
            gate.release();
        }
        until("room for two more", async || {
            let one = gateway.begin(&streaming("app-1")).await?;
            let two = gateway.begin(&streaming("app-1")).await?;
            let both = one.status() == 200 && two.status() == 200;
            one.finish().await?;
            two.finish().await?;
            Ok(both.then_some(()))
        })
        .await
    })
}
