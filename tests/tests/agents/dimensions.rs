//! Limits by end user, route and service.

use anyhow::Result;
use serde_json::json;
use spillway_tests::{assert_dify_error, client::Request, run, until};

use crate::Published;

fn rule(dimension: &str, key: &str) -> String {
    format!(
        "policies:\n  rate_limits:\n    - rule_name: few\n      rule_items: [{{ {dimension}: '', limit_keys: [{{ key: '{key}', query_per_hour: 1 }}] }}]\nroutes: [{{ name: bot, path: /v1/chat-messages }}]"
    )
}

#[test]
fn each_end_user_has_a_quota_of_their_own() -> Result<()> {
    run(async {
        let published = Published::start("", &rule("limit_by_per_end_user", "*")).await?;
        let asks = |user: &str| {
            let body =
                json!({"inputs": {}, "query": "q", "response_mode": "blocking", "user": user});
            Request::json("/v1/chat-messages", &body).bearer("app-1")
        };
        for user in ["ann", "bob", "\u{e9}ve"] {
            let answer = published.call(&asks(user)).await?;
            assert_eq!(answer.status(), 200, "{user}: {}", answer.text());
            assert_dify_error(&published.call(&asks(user)).await?, 429);
        }
        let seen = published.dify.api.requests();
        assert_eq!(seen.len(), 3);
        assert!(
            seen.iter().all(|seen| seen.json()["query"] == "q"),
            "the body goes on as it came"
        );
        // Requests without a body name the user in the query.
        let lists = |user: &str| Request::get(&format!("/v1/messages?user={user}")).bearer("app-1");
        assert_dify_error(&published.call(&lists("ann")).await?, 429);
        assert_eq!(published.call(&lists("cid")).await?.status(), 200);
        assert_eq!(
            published
                .call(&Request::get("/v1/info").bearer("app-1"))
                .await?
                .status(),
            200
        );
        until("the end user in the log", async || {
            let log = published.gateway.log();
            Ok(log.contains("end_user=\"ann\"").then_some(()))
        })
        .await?;
        Ok(())
    })
}

/// Each of these runs is Ann's to Dify, or nobody's: a second of the kind is too many.
#[test]
fn an_end_users_quota_is_not_got_around_by_writing_the_user_in_another_way() -> Result<()> {
    run(async {
        let utf16: Vec<u8> = r#"{"inputs":{},"query":"q","user":"ann"}"#
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let json = "application/json";
        let plain = r#"{"inputs":{},"query":"q","user":"ann"}"#;
        for (content_type, body) in [
            ("application/vnd.x+json", plain.as_bytes()),
            (
                json,
                br#"{"inputs":{},"query":"q","user":"a","user":"ann"}"#,
            ),
            (
                json,
                br#"{"inputs":{"x":NaN,"y":-Infinity},"query":"q","user":"ann"}"#,
            ),
            (json, br#"{"inputs":{},"query":"\ud800","user":"ann"}"#),
            (json, utf16.as_slice()),
            (
                json,
                b"\xef\xbb\xbf{\"inputs\":{},\"query\":\"q\",\"user\":\"ann\"}",
            ),
        ] {
            let published = Published::start("", &rule("limit_by_per_end_user", "*")).await?;
            let asks = |content_type: &str, body: &[u8]| {
                Request::post("/v1/chat-messages", content_type, body.to_vec()).bearer("app-1")
            };
            let first = published.call(&asks(content_type, body)).await?;
            assert_ne!(first.status(), 429, "{content_type} {body:?}");
            let second = published.call(&asks(json, plain.as_bytes())).await?;
            assert_eq!(second.status(), 429, "{content_type} {body:?}");
        }
        Ok(())
    })
}

#[test]
fn runs_of_which_no_user_is_known_share_a_quota_and_web_apps_have_none() -> Result<()> {
    run(async {
        let published = Published::start("", &rule("limit_by_per_end_user", "*")).await?;
        let asks = |path: &str, content_type: &str, body: &'static str| {
            Request::post(path, content_type, body).bearer("app-1")
        };
        let json = "application/json";
        let seven = r#"{"inputs":{},"query":"q","user":7}"#;
        for (at, (content_type, body)) in [
            (json, r#"{"inputs":{},"query":"q"}"#),
            (json, r#"{"inputs":{},"query":"q","user":["ann"]}"#),
            (json, "{"),
            ("text/plain", r#"{"inputs":{},"query":"q","user":"ann"}"#),
        ]
        .into_iter()
        .enumerate()
        {
            // The query names nobody: Dify does not look there.
            let path = format!("/v1/chat-messages?user=u{at}");
            let answer = published.call(&asks(&path, content_type, body)).await?;
            assert_eq!(answer.status() == 429, at > 0, "{body}: {}", answer.text());
        }
        for at in 0..2 {
            let answer = published
                .call(&asks("/v1/chat-messages", json, seven))
                .await?;
            assert_eq!(answer.status() == 429, at > 0, "{}", answer.text());
            let answer = published
                .call(&asks("/api/chat-messages", json, r#"{"query":"q"}"#))
                .await?;
            assert_ne!(answer.status(), 429, "Dify knows a web app's users itself");
            let answer = published
                .call(&Request::get("/v1/info").bearer("app-1"))
                .await?;
            assert_eq!(answer.status(), 200);
        }
        Ok(())
    })
}

#[test]
fn a_body_too_large_to_look_for_the_user_is_refused() -> Result<()> {
    run(async {
        let published = Published::start("", &rule("limit_by_per_end_user", "*")).await?;
        let body = json!({"user": "ann", "query": "x".repeat(9 << 20)});
        let answer = published
            .call(&Request::json("/v1/chat-messages", &body).bearer("app-1"))
            .await?;
        assert_dify_error(&answer, 413);
        assert!(answer.text().contains("end user"), "{}", answer.text());
        Ok(())
    })
}

#[test]
fn a_route_and_a_service_have_quotas() -> Result<()> {
    run(async {
        for (dimension, key) in [("limit_by_route", "bot"), ("limit_by_per_route", "*")] {
            let published = Published::start("", &rule(dimension, key)).await?;
            let bot = || Request::get("/v1/chat-messages").bearer("app-1");
            assert_eq!(published.call(&bot()).await?.status(), 200);
            assert_dify_error(&published.call(&bot()).await?, 429);
            // Written in another way it is the same route.
            let disguised = Request::get("/v1/chat%2Dmessages").bearer("app-1");
            assert_dify_error(&published.call(&disguised).await?, 429);
            assert_eq!(
                published
                    .call(&Request::get("/v1/info").bearer("app-1"))
                    .await?
                    .status(),
                200
            );
        }
        let published = Published::start("", &rule("limit_by_service", "web")).await?;
        assert_eq!(published.call(&Request::get("/apps")).await?.status(), 200);
        assert_dify_error(&published.call(&Request::get("/explore")).await?, 429);
        assert_eq!(
            published
                .call(&Request::get("/v1/info").bearer("app-1"))
                .await?
                .status(),
            200
        );
        Ok(())
    })
}
