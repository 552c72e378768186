//! Where things are: redirects, cookies, names for requests, hosts.

use anyhow::Result;
use spillway_tests::{
    client::Request,
    run,
    standin::{Behaviour, Reply},
};

use crate::Published;

#[test]
fn http_is_sent_to_https_as_the_client_or_a_trusted_proxy_says() -> Result<()> {
    run(async {
        let published =
            Published::start("trusted_proxies: [127.0.0.0/8]", "redirect_to_https: true").await?;
        let get = |proto: Option<&str>| {
            let request =
                Request::get("/apps?x=%20").header("X-Forwarded-Host", "dify.example.com:8080");
            match proto {
                Some(proto) => request.header("X-Forwarded-Proto", proto),
                None => request,
            }
        };
        for proto in [None, Some("http")] {
            let answer = published.call(&get(proto)).await?;
            assert_eq!(answer.status(), 301);
            assert_eq!(
                answer.header("location").as_deref(),
                Some("https://dify.example.com/apps?x=%20")
            );
        }
        let mut post = get(None);
        post.method = "POST".to_owned();
        assert_eq!(
            published.call(&post).await?.status(),
            308,
            "a POST stays one"
        );
        assert!(published.dify.web.requests().is_empty());
        assert_eq!(published.call(&get(Some("https"))).await?.status(), 200);
        Ok(())
    })
}

#[test]
fn places_that_a_stripped_service_names_are_rewritten_and_others_are_not() -> Result<()> {
    run(async {
        for (settings, location, path) in [
            ("base_path: /dify", "/dify/signin?a=/b", "Path=/dify"),
            ("", "/signin?a=/b", "Path=/"),
        ] {
            let published = Published::start("", settings).await?;
            let target = if settings.is_empty() { "/x" } else { "/dify/x" };
            let reply = Reply::new(307)
                .header("Location", "/signin?a=/b")
                .header("Set-Cookie", "a=1; Path=/; HttpOnly")
                .header("Set-Cookie", "b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT");
            published.dify.web.next(Behaviour::Reply(reply));
            let answer = published.call(&Request::get(target)).await?;
            assert_eq!(answer.header("location").as_deref(), Some(location));
            let cookies = answer.head.header_values("set-cookie");
            assert_eq!(
                cookies,
                [
                    format!("a=1; {path}; HttpOnly"),
                    "b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT".to_owned()
                ]
            );
            let own = format!("{}/next", published.dify.web.url());
            let reply = Reply::new(302).header("Location", &own);
            published.dify.web.next(Behaviour::Reply(reply));
            let answer = published
                .call(&Request::get(target).header("Host", "dify.example.com"))
                .await?;
            let base = settings.trim_start_matches("base_path: ");
            assert_eq!(
                answer.header("location"),
                Some(format!("http://dify.example.com{base}/next")),
                "the service's own address leads nowhere"
            );
            // A Dify that believes `X-Forwarded-Port` and `-Proto` names its host with the client's port.
            for own in ["https://127.0.0.1/next", "http://127.0.0.1:8080/next"] {
                let reply = Reply::new(302).header("Location", own);
                published.dify.web.next(Behaviour::Reply(reply));
                let answer = published
                    .call(&Request::get(target).header("Host", "dify.example.com:8080"))
                    .await?;
                assert_eq!(
                    answer.header("location"),
                    Some(format!("http://dify.example.com:8080{base}/next")),
                    "{own}"
                );
            }
        }
        Ok(())
    })
}

#[test]
fn a_request_has_one_name_on_all_sides() -> Result<()> {
    run(async {
        let published = Published::start("", "").await?;
        let plain = Request::get("/v1/info").bearer("app-1");
        let sent = plain
            .clone()
            .header("X-Request-Id", "mine-1")
            .header("X-Trace-Id", "trace-1")
            .header(
                "Traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            );
        let answer = published.call(&sent).await?;
        assert_eq!(answer.header("x-request-id").as_deref(), Some("mine-1"));
        let seen = published.dify.api.wait_for_requests(1).await?;
        for (name, value) in [
            ("x-request-id", "mine-1"),
            ("x-trace-id", "trace-1"),
            (
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ),
        ] {
            let found = seen.first().and_then(|seen| seen.header(name));
            assert_eq!(found.as_deref(), Some(value), "{name}");
        }
        let answer = published.call(&plain).await?;
        let name = answer.header("x-request-id").unwrap_or_default();
        assert_eq!(name.len(), 32, "{name:?}");
        let seen = published.dify.api.wait_for_requests(2).await?;
        assert_eq!(
            seen.last().and_then(|seen| seen.header("x-request-id")),
            Some(name)
        );
        let refused = published.call(&Request::get("/socket.io/")).await?;
        assert!(refused.header("x-request-id").is_some());
        Ok(())
    })
}

#[test]
fn event_streams_are_kept_moving_by_proxies_before_the_gateway() -> Result<()> {
    run(async {
        let published = Published::start("", "").await?;
        let body = serde_json::json!({"query": "q", "response_mode": "streaming", "user": "u"});
        let answer = published
            .call(&Request::json("/v1/chat-messages", &body).bearer("app-1"))
            .await?;
        assert_eq!(answer.header("x-accel-buffering").as_deref(), Some("no"));
        assert_eq!(answer.header("cache-control").as_deref(), Some("no-cache"));
        let answer = published
            .call(&Request::get("/v1/info").bearer("app-1"))
            .await?;
        assert_eq!(answer.header("x-accel-buffering"), None);
        Ok(())
    })
}
