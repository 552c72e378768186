//! Back ends that are not Dify, routes by expression, and polling of the collaboration mode.

use anyhow::Result;
use spillway_tests::{
    Gateway, Options, assert_dify_error, client::Request, run, standin::StandinDify,
};

use crate::Published;

#[test]
fn an_http_back_end_gets_everything_and_stands_beside_dify() -> Result<()> {
    run(async {
        let (dify, other) = (StandinDify::start()?, StandinDify::start()?);
        let yaml = format!(
            "agents:\n  - name: dify\n    services: {{ api: \"{}\", web: \"{}\" }}\n  - name: tools\n    protocol: http\n    base_path: /tools\n    url: {}\n    routes: [{{ name: socket, path: /socket.io }}]\n",
            dify.api.url(),
            dify.web.url(),
            other.web.url()
        );
        let gateway = Gateway::start(&yaml, Options::default()).await?;
        for (target, arrived) in [
            ("/tools/v1/chat-messages?a", "/v1/chat-messages?a"),
            (
                "/tools/socket.io/?transport=websocket",
                "/socket.io/?transport=websocket",
            ),
            ("/tools", "/"),
        ] {
            gateway.call(&Request::get(target)).await?;
            let seen = other.web.requests();
            assert_eq!(seen.last().map(|seen| seen.target.as_str()), Some(arrived));
        }
        assert!(dify.requests_mentioning("/").is_empty());
        gateway
            .call(&Request::get("/v1/info").bearer("app-1"))
            .await?;
        assert_eq!(dify.api.requests().len(), 1);
        other.web.kill().await;
        assert_dify_error(&gateway.call(&Request::get("/tools/x")).await?, 502);
        Ok(())
    })
}

#[test]
fn an_exact_path_comes_before_an_expression_and_that_before_prefixes() -> Result<()> {
    run(async {
        let published = Published::start(
            "",
            "routes:\n  - { name: long, path: /v1/chat-messages, service: api }\n  - { name: expression, path: { regex: \"^/v1/.*-messages$\" }, service: web }\n  - { name: exact, path: { exact: /v1/chat-messages }, match: { headers: { x-kind: { regex: \"^a+$\" } } }, service: plugin_daemon }\n  - { name: named, path: /v1/info }",
        )
        .await?;
        for (target, kind, service) in [
            ("/v1/chat-messages", "aaa", &published.dify.plugin_daemon),
            ("/v1/chat-messages", "b", &published.dify.web),
            ("/v1/%63hat-messages", "aaa", &published.dify.plugin_daemon),
            ("/v1/chat-messages/x", "aaa", &published.dify.api),
            ("/v1/info", "", &published.dify.api),
        ] {
            let before = service.requests().len();
            published
                .call(&Request::get(target).header("X-Kind", kind).bearer("app-1"))
                .await?;
            assert_eq!(service.requests().len(), before + 1, "{target} {kind}");
        }
        let labels = [("route", "named"), ("status", "200")];
        published
            .samples("spillway_requests_total", &labels, 1.0)
            .await?;
        Ok(())
    })
}

#[test]
fn polling_of_the_collaboration_mode_passes() -> Result<()> {
    run(async {
        let dify = StandinDify::start()?;
        let yaml = |more: &str| {
            format!(
                "agents: [{{ name: dify, services: {{ web: \"{}\"{more} }} }}]",
                dify.web.url()
            )
        };
        let with = format!(", socket_io: \"{}\"", dify.api.url());
        let gateway = Gateway::start(&yaml(&with), Options::default()).await?;
        let polling = Request::get("/socket.io/?EIO=4&transport=polling&t=1");
        assert_eq!(gateway.call(&polling).await?.status(), 200);
        // What a client has to say on this transport it posts.
        let says = "/socket.io/?EIO=4&transport=polling&t=2&sid=abc";
        let says = Request::post(says, "text/plain;charset=UTF-8", "40");
        assert_eq!(gateway.call(&says).await?.status(), 200);
        let seen = dify.api.requests();
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[1].target, says.target);
        assert_eq!(seen[1].text(), "40");
        let without = Gateway::start(&yaml(""), Options::default()).await?;
        let answer = without.call(&polling).await?;
        assert_dify_error(&answer, 404);
        assert!(answer.text().contains("socket_io"), "{}", answer.text());
        assert_eq!(dify.api.requests().len(), 2);
        Ok(())
    })
}
