//! CORS: left to Dify unless configured.

use anyhow::Result;
use spillway_tests::{client::Request, run};

use crate::Published;

#[test]
fn without_rules_dify_answers_and_with_them_the_gateway_does() -> Result<()> {
    run(async {
        let preflight = || {
            Request::new("OPTIONS", "/v1/chat-messages")
                .header("Origin", "https://app.example.com")
                .header("Access-Control-Request-Method", "POST")
        };
        let plain = Published::start("", "").await?;
        let answer = plain.call(&preflight()).await?;
        assert_eq!(
            answer.header("access-control-allow-origin").as_deref(),
            Some("*")
        );
        assert_eq!(plain.dify.api.requests().len(), 1);

        let ruled = Published::start(
            "",
            "policies:\n  cors: { allow_origins: [\"https://*.example.com\"], allow_credentials: true, max_age: 10m }\n  rate_limits: [{ rule_name: few, global_threshold: { query_per_hour: 1 } }]",
        )
        .await?;
        let answer = ruled.call(&preflight()).await?;
        assert_eq!(answer.status(), 204);
        for (name, value) in [
            ("access-control-allow-origin", "https://app.example.com"),
            ("access-control-allow-credentials", "true"),
            ("access-control-max-age", "600"),
        ] {
            assert_eq!(answer.header(name).as_deref(), Some(value), "{name}");
        }
        assert!(
            ruled.dify.api.requests().is_empty(),
            "a preflight request is the gateway's"
        );
        let call = |origin: &str| {
            Request::get("/v1/info")
                .bearer("app-1")
                .header("Origin", origin)
        };
        let answer = ruled.call(&call("https://app.example.com")).await?;
        let allowed = answer.head.header_values("access-control-allow-origin");
        assert_eq!(allowed, ["https://app.example.com"]);
        // A page has to be able to read why it was refused.
        let refused = ruled.call(&call("https://app.example.com")).await?;
        assert_eq!(refused.status(), 429);
        let allowed = refused.head.header_values("access-control-allow-origin");
        assert_eq!(allowed, ["https://app.example.com"]);
        let foreign = ruled.call(&call("https://evil.example")).await?;
        assert_eq!(foreign.header("access-control-allow-origin"), None);
        Ok(())
    })
}
