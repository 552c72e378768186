//! Header lines: which go on, which do not.

use anyhow::Result;
use spillway_tests::{
    client::Request,
    mark, run,
    standin::{Behaviour, Reply},
};

use crate::Ingress;

#[test]
fn ordinary_headers_go_on_with_their_duplicates() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        let request = Request::get("/api/x")
            .header("Authorization", "Bearer app-1")
            .header("Cookie", "access_token=a; csrf_token=b")
            .header("X-CSRF-Token", "b")
            .header("X-App-Code", "code")
            .header("Accept-Encoding", "gzip, br")
            .header("Accept-Language", "de")
            .header("Origin", "https://dify.example.com")
            .header("User-Agent", "browser/1")
            .header("X-Twice", "1")
            .header("X-Empty", "")
            .header("X-Twice", "2");
        let sent = request.headers.clone();
        let (seen, _) = ingress.forwarded(request).await?;
        for (name, value) in sent.iter().filter(|(name, _)| name != "X-Twice") {
            assert_eq!(seen.header_values(name), [value.as_str()], "{name}");
        }
        assert_eq!(seen.header("x-twice").as_deref(), Some("1, 2"));
        Ok(())
    })
}

#[test]
fn hop_by_hop_headers_stay_behind() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        let request = Request::get("/api/x")
            .header("Connection", "keep-alive")
            .header("Keep-Alive", "timeout=5")
            .header("Proxy-Connection", "keep-alive")
            .header("TE", "trailers")
            .header("X-Stays", "yes");
        let (seen, _) = ingress.forwarded(request).await?;
        for name in [
            "connection",
            "keep-alive",
            "proxy-connection",
            "te",
            "upgrade",
        ] {
            assert_eq!(seen.header(name), None, "{name} is for the next hop only");
        }
        assert_eq!(seen.header("x-stays").as_deref(), Some("yes"));
        Ok(())
    })
}

#[test]
fn headers_of_host_and_gateway_stay_behind() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        let request = Request::get("/api/x")
            .header("spin-client-addr", "203.0.113.66:1")
            .header("Spin-Full-Url", "http://evil.example/")
            .header("spin-anything", "x")
            .header("X-Gateway-Provider", "forged");
        let (seen, _) = ingress.forwarded(request).await?;
        let spin = seen
            .headers
            .iter()
            .filter(|(name, _)| name.to_ascii_lowercase().starts_with("spin-"));
        assert_eq!(spin.count(), 0, "{:?}", seen.headers);
        assert_eq!(seen.header("x-gateway-provider"), None);
        let sent = format!("{:?}", seen.headers);
        assert!(
            !sent.contains("203.0.113.66"),
            "a forged client address went on: {sent}"
        );
        Ok(())
    })
}

#[test]
fn the_upstream_sees_its_own_authority_as_host() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        let (seen, _) = ingress
            .forwarded(Request::get("/api/x").header("Host", "dify.example.com"))
            .await?;
        assert_eq!(
            seen.header_values("host"),
            [ingress.dify.api.address().to_string()]
        );
        Ok(())
    })
}

#[test]
fn several_cookies_stay_apart() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        let answer = ingress
            .call(&Request::new("POST", "/console/api/login"))
            .await?;
        assert_eq!(
            answer.head.header_values("set-cookie"),
            [
                "access_token=at-1; HttpOnly; Path=/; SameSite=Lax",
                "refresh_token=rt-1; HttpOnly; Path=/; SameSite=Lax",
                "csrf_token=ct-1; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/",
            ]
        );
        Ok(())
    })
}

#[test]
fn answer_headers_come_back_and_those_of_the_hop_do_not() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        let mark = mark();
        let reply = Reply::new(200)
            .header("Keep-Alive", "timeout=5")
            .header("Content-Encoding", "gzip")
            .header("Vary", "Origin")
            .header("Vary", "Accept-Encoding")
            .header("Access-Control-Allow-Origin", "*")
            .header("Server", "gunicorn")
            .header("X-Version", "1.17.0")
            .body(vec![0x1f, 0x8b, 0x00, 0xff]);
        ingress.dify.api.when(&mark, Behaviour::Reply(reply));
        let answer = ingress
            .call(&Request::get("/api/x").header("X-Mark", &mark))
            .await?;
        assert_eq!(answer.header("keep-alive"), None);
        assert_eq!(answer.header("content-encoding").as_deref(), Some("gzip"));
        assert_eq!(
            &answer.body[..],
            [0x1f, 0x8b, 0x00, 0xff],
            "packed bytes stay packed"
        );
        assert_eq!(
            answer.head.header_values("vary").join(", "),
            "Origin, Accept-Encoding"
        );
        assert_eq!(
            answer.head.header_values("access-control-allow-origin"),
            ["*"],
            "none is added"
        );
        assert_eq!(answer.header("x-version").as_deref(), Some("1.17.0"));
        Ok(())
    })
}

#[test]
fn too_many_headers_are_refused_and_the_gateway_lives_on() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        let large = Request::get("/api/x")
            .header("X-Large", &"a".repeat(60 * 1024))
            .header("X-Twice", &"b".repeat(60 * 1024));
        let many = (0..500).fold(Request::get("/api/x"), |request, number| {
            request.header(&format!("X-{number}"), "v")
        });
        for request in [large, many] {
            let answer = ingress.call(&request).await?;
            assert!(
                (400..500).contains(&answer.status()),
                "{} is no refusal",
                answer.status()
            );
        }
        assert_eq!(ingress.call(&Request::get("/api/x")).await?.status(), 200);
        Ok(())
    })
}
