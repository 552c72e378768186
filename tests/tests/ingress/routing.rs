//! Dify's routing table.

use anyhow::Result;
use spillway_tests::{
    Reason, assert_dify_error,
    client::Request,
    reason, run,
    standin::Service::{self, Api, PluginDaemon, Web},
};

use crate::Ingress;

/// Prefixes as in Dify's nginx: plain strings, so that `/apix` goes where `/api` goes; the longest one wins.
const TABLE: [(&str, Service); 37] = [
    ("/console/api", Api),
    ("/console/api/login", Api),
    ("/console/apix", Api),
    ("/api", Api),
    ("/api/passport", Api),
    ("/apix", Api),
    ("/v1", Api),
    ("/v1/", Api),
    ("/v1/chat-messages", Api),
    ("/v1x", Api),
    ("/openapi", Api),
    ("/openapi/v1/x", Api),
    ("/files", Api),
    ("/files/tools/1.png", Api),
    ("/mcp", Api),
    ("/mcp/server/abc/mcp", Api),
    ("/triggers", Api),
    ("/triggers/webhook/1", Api),
    ("/e/hook", PluginDaemon),
    ("/e/hook/a/b", PluginDaemon),
    ("/e/", PluginDaemon),
    ("/e", Web),
    ("/explore", Web),
    ("/explore/apps", Web),
    ("/", Web),
    ("/apps", Web),
    ("/ap", Web),
    ("/chat/abc", Web),
    ("/console", Web),
    ("/console/", Web),
    ("/v", Web),
    ("/V1/chat-messages", Web),
    ("/_next/static/chunk.js", Web),
    ("/health", Web),
    ("/x/v1/chat-messages", Web),
    ("/.well-known/security.txt", Web),
    ("/favicon.ico?v1=/api", Web),
];

#[test]
fn every_prefix_goes_to_its_service() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        for (target, service) in TABLE {
            let (seen, _) = ingress.forwarded(Request::get(target)).await?;
            assert_eq!(seen.service, service, "{target}");
            assert_eq!(seen.target, target, "the target goes on unchanged");
        }
        Ok(())
    })
}

#[test]
fn a_plugin_endpoint_learns_the_url_it_was_called_by() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        let request =
            Request::get("/e/hook/a%2fb?x=1&y=%20").header("Dify-Hook-Url", "http://evil/");
        let (seen, _) = ingress.forwarded(request).await?;
        let url = seen.header("dify-hook-url").unwrap_or_default();
        assert!(
            url.starts_with("http://127.0.0.1") && url.ends_with("/e/hook/a%2fb?x=1&y=%20"),
            "Dify-Hook-Url is scheme, host and the original target, not {url:?}"
        );
        let (seen, _) = ingress
            .forwarded(Request::get("/v1/x").header("Dify-Hook-Url", "http://evil/"))
            .await?;
        assert_eq!(seen.service, Api);
        Ok(())
    })
}

#[test]
fn a_service_that_is_not_configured_is_not_found() -> Result<()> {
    run(async {
        let yaml = |dify: &spillway_tests::standin::StandinDify| {
            format!(
                "agents:\n  - name: dify\n    services:\n      api: {}\n",
                dify.api.url()
            )
        };
        let ingress = Ingress::start(yaml).await?;
        let (seen, _) = ingress.forwarded(Request::get("/v1/info")).await?;
        assert_eq!(seen.service, Api);
        for target in ["/", "/apps", "/e/hook"] {
            let answer = ingress.call(&Request::get(target)).await?;
            assert_eq!(answer.status(), 404, "{target}: {}", answer.text());
            reason(&answer.head, Reason::NotFound);
        }
        Ok(())
    })
}

#[test]
fn without_agents_nothing_is_found_and_the_error_is_difys() -> Result<()> {
    run(async {
        let ingress = Ingress::start(|_| "agents: []\n".to_owned()).await?;
        for target in ["/v1/chat-messages", "/api/x", "/console/api/login"] {
            let answer = ingress.call(&Request::get(target)).await?;
            assert_dify_error(&answer, 404);
            reason(&answer.head, Reason::NotFound);
        }
        Ok(())
    })
}

#[test]
fn a_model_api_that_is_not_configured_answers_as_openai_does() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        for target in ["/llm", "/llm/v1/chat/completions", "/llm/x"] {
            let answer = ingress
                .call(&Request::json(target, &serde_json::json!({"model": "m"})))
                .await?;
            spillway_tests::assert_openai_error(&answer, 404);
            reason(&answer.head, Reason::NotFound);
        }
        Ok(())
    })
}

#[test]
fn paths_beside_the_mounts_of_other_apis_belong_to_dify() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        for target in ["/llmx", "/_gatewayx", "/mcp-serversx/a"] {
            let (seen, _) = ingress.forwarded(Request::get(target)).await?;
            let expected = if target.starts_with("/mcp") { Api } else { Web };
            assert_eq!(seen.service, expected, "{target}");
        }
        Ok(())
    })
}
