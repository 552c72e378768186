//! Where an agent API is published: host names and base paths.

use anyhow::Result;
use spillway_tests::{
    Gateway, Options, Reason, assert_dify_error,
    client::Request,
    reason, run,
    standin::{Service, StandinDify},
};

use crate::{Ingress, agents};

#[test]
fn a_base_path_is_removed_before_forwarding() -> Result<()> {
    run(async {
        let ingress = Ingress::plain("base_path: /dify").await?;
        for (sent, arrived, service) in [
            (
                "/dify/v1/chat%2fmessages?a=%20",
                "/v1/chat%2fmessages?a=%20",
                Service::Api,
            ),
            (
                "/dify/console/api/login",
                "/console/api/login",
                Service::Api,
            ),
            ("/dify/e/hook", "/e/hook", Service::PluginDaemon),
            ("/dify/", "/", Service::Web),
            ("/dify", "/", Service::Web),
            ("/dify?x=1", "/?x=1", Service::Web),
            ("/dify//v1", "//v1", Service::Api),
            ("/dify/dify/v1", "/dify/v1", Service::Web),
        ] {
            let (seen, _) = ingress.forwarded(Request::get(sent)).await?;
            assert_eq!(
                (seen.target.as_str(), seen.service),
                (arrived, service),
                "{sent}"
            );
        }
        for target in ["/difyx/v1", "/v1/chat-messages", "/", "/DIFY/v1"] {
            let answer = ingress.call(&Request::get(target)).await?;
            assert_eq!(
                answer.status(),
                404,
                "{target} is outside the base path: {}",
                answer.text()
            );
            reason(&answer.head, Reason::NotFound);
        }
        Ok(())
    })
}

#[test]
fn a_base_path_is_kept_when_so_configured() -> Result<()> {
    run(async {
        let ingress = Ingress::plain("base_path: /dify\nstrip_base_path: false").await?;
        for (target, service) in [("/dify/v1/x?a", Service::Api), ("/dify/apps", Service::Web)] {
            let (seen, _) = ingress.forwarded(Request::get(target)).await?;
            assert_eq!((seen.target.as_str(), seen.service), (target, service));
        }
        assert_eq!(ingress.call(&Request::get("/v1/x")).await?.status(), 404);
        Ok(())
    })
}

#[test]
fn host_names_choose_the_api_and_unknown_ones_find_nothing() -> Result<()> {
    run(async {
        let (exact, wildcard) = (StandinDify::start()?, StandinDify::start()?);
        let yaml = agents(&[
            ("exact", "domains: [dify.example.com]", &exact),
            ("wildcard", "domains: [\"*.apps.example.com\"]", &wildcard),
        ]);
        let gateway = Gateway::start(&yaml, Options::default()).await?;
        let get = |host: &str| {
            Request::get("/v1/info")
                .header("Host", host)
                .bearer("app-1")
        };
        for host in [
            "dify.example.com",
            "DIFY.example.COM",
            "dify.example.com:8080",
        ] {
            assert_eq!(gateway.call(&get(host)).await?.status(), 200, "{host}");
        }
        assert_eq!(
            (exact.api.requests().len(), wildcard.api.requests().len()),
            (3, 0)
        );
        for host in ["one.apps.example.com", "two.one.apps.example.com:80"] {
            assert_eq!(gateway.call(&get(host)).await?.status(), 200, "{host}");
        }
        assert_eq!(
            (exact.api.requests().len(), wildcard.api.requests().len()),
            (3, 2)
        );
        let own = gateway.address().to_string();
        for host in [
            "example.com",
            "xdify.example.com",
            "dify.example.com.evil.org",
            "apps.example.com",
            own.as_str(),
        ] {
            let answer = gateway.call(&get(host)).await?;
            assert_dify_error(&answer, 404);
            reason(&answer.head, Reason::NotFound);
        }
        Ok(())
    })
}

#[test]
fn the_narrowest_host_wins_and_then_the_longest_base_path() -> Result<()> {
    run(async {
        let (any, exact, deep) = (
            StandinDify::start()?,
            StandinDify::start()?,
            StandinDify::start()?,
        );
        let yaml = agents(&[
            ("any", "", &any),
            ("exact", "domains: [dify.example.com]", &exact),
            (
                "deep",
                "domains: [dify.example.com]\nbase_path: /deep",
                &deep,
            ),
        ]);
        let gateway = Gateway::start(&yaml, Options::default()).await?;
        for (host, target, expected) in [
            ("other.example.com", "/v1/info", &any),
            ("dify.example.com", "/v1/info", &exact),
            ("dify.example.com", "/deep/v1/info", &deep),
        ] {
            let request = Request::get(target).header("Host", host).bearer("app-1");
            let before = expected.api.requests().len();
            assert_eq!(
                gateway.call(&request).await?.status(),
                200,
                "{host}{target}"
            );
            assert_eq!(
                expected.api.requests().len(),
                before + 1,
                "{host}{target} went elsewhere"
            );
        }
        Ok(())
    })
}
