//! Requests arrive as they were sent, answers as they were given.

use anyhow::Result;
use bytes::Bytes;
use spillway_tests::{
    client::{Body, End, Request},
    mark, run,
    standin::{Behaviour, BodyFraming, Reply},
};

use crate::Ingress;

#[test]
fn path_and_query_go_on_byte_for_byte() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        for target in [
            "/v1/a%2fb",
            "/v1/a%2Fb",
            "/v1//x//",
            "/v1/x?a=b&a=c",
            "/v1/x?",
            "/v1/x?q=%20+&empty=&flag",
            "/v1/%E4%BD%A0%E5%A5%BD?q=%F0%9F%8C%8D",
            "/v1/x;param=1/y",
            "/v1/x?url=http://a.example/b?c=d&e",
            "/v1/x?filter[a]=1&json={a:1}|b",
            "/v1/~user/!$&'()*,=:@",
            "/v1/a%00b%0d%0ac",
            "/v1/%zz",
            "/files/a%20b.png?sign=ab%2Bcd%3D%3D&nonce=1",
        ] {
            let (seen, _) = ingress.forwarded(Request::get(target)).await?;
            assert_eq!(seen.target, target);
        }
        Ok(())
    })
}

#[test]
fn a_long_query_goes_on() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        let target = format!("/v1/x?q={}", "a".repeat(16 * 1024));
        let (seen, _) = ingress.forwarded(Request::get(&target)).await?;
        assert_eq!(seen.target, target);
        Ok(())
    })
}

#[test]
fn every_method_goes_on() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        for method in ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] {
            let (seen, answer) = ingress.forwarded(Request::new(method, "/api/x")).await?;
            assert_eq!(seen.method, method);
            assert_eq!(seen.body_length, 0, "{method}");
            assert!(answer.status() < 300, "{method}: {}", answer.status());
        }
        Ok(())
    })
}

#[test]
fn the_answer_to_head_has_the_length_and_no_body() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        let answer = ingress.call(&Request::new("HEAD", "/files/1")).await?;
        assert_eq!(answer.header("content-length").as_deref(), Some("1024"));
        assert!(answer.body.is_empty());
        Ok(())
    })
}

#[test]
fn a_request_without_a_body_stays_without_one() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let (seen, _) = ingress.forwarded(Request::new(method, "/api/x")).await?;
            let framing = seen.framing;
            assert!(
                matches!(framing, BodyFraming::None | BodyFraming::Length(0)),
                "{method} without a body arrived with {framing:?}: {:?}",
                seen.headers
            );
        }
        Ok(())
    })
}

#[test]
fn a_body_arrives_whole_and_a_length_stays_a_length() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        let text = "{\"query\":\"grüße\"}";
        let (seen, _) = ingress
            .forwarded(Request::post("/v1/x", "application/json", text))
            .await?;
        assert_eq!(seen.text(), text);
        assert_eq!(seen.framing, BodyFraming::Length(text.len() as u64));
        assert_eq!(
            seen.header("content-type").as_deref(),
            Some("application/json")
        );

        let parts = vec![Bytes::from("first "), Bytes::from("second")];
        let chunked = Request::new("PUT", "/v1/x").body(Body::Chunked(parts));
        let (seen, _) = ingress.forwarded(chunked).await?;
        assert_eq!(
            (seen.text().as_str(), seen.framing),
            ("first second", BodyFraming::Chunked)
        );

        let empty = Request::new("POST", "/v1/x").body(Body::Length(Bytes::new()));
        let (seen, _) = ingress.forwarded(empty).await?;
        assert!(
            matches!(seen.framing, BodyFraming::Length(0) | BodyFraming::None),
            "{seen:?}"
        );
        Ok(())
    })
}

#[test]
fn a_delete_and_a_get_with_a_body_keep_it() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        for method in ["DELETE", "GET"] {
            let request =
                Request::new(method, "/v1/x").body(Body::Length("{\"user\":\"u\"}".into()));
            let (seen, _) = ingress.forwarded(request).await?;
            assert_eq!(seen.text(), "{\"user\":\"u\"}", "{method}");
        }
        Ok(())
    })
}

#[test]
fn statuses_and_their_headers_come_back_untouched() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        for (reply, body) in [
            (
                Reply::new(302).header("Location", "http://elsewhere.example/a?b"),
                "",
            ),
            (Reply::new(301).header("Location", "/relative"), ""),
            (Reply::new(307).header("Location", "//other.example/"), ""),
            (Reply::new(204).header("X-Version", "1"), ""),
            (Reply::new(304).header("ETag", "\"1\""), ""),
            (
                Reply::new(206)
                    .header("Content-Range", "bytes 0-2/9")
                    .body("abc"),
                "abc",
            ),
            (
                Reply::new(401)
                    .header("WWW-Authenticate", "Bearer realm=\"api\"")
                    .body("{}"),
                "{}",
            ),
            (Reply::new(413).body("too large"), "too large"),
            (Reply::new(418).body("teapot"), "teapot"),
            (
                Reply::new(429).header("Retry-After", "7").body("slow down"),
                "slow down",
            ),
            (Reply::new(500).body("broken"), "broken"),
            (Reply::new(502).body("upstream's own"), "upstream's own"),
            (Reply::new(503).header("Retry-After", "1").body(""), ""),
        ] {
            let mark = mark();
            ingress
                .dify
                .api
                .when(&mark, Behaviour::Reply(reply.clone()));
            let answer = ingress
                .call(&Request::get("/api/x").header("X-Mark", &mark))
                .await?;
            assert_eq!(answer.status(), reply.status);
            assert_eq!(answer.text(), body, "{}", reply.status);
            assert_eq!(answer.end, End::Clean);
            for (name, value) in &reply.headers {
                assert_eq!(
                    answer.header(name).as_ref(),
                    Some(value),
                    "{} {name}",
                    reply.status
                );
            }
            assert_eq!(
                ingress.dify.requests_mentioning(&mark).len(),
                1,
                "nothing is followed or repeated"
            );
        }
        Ok(())
    })
}

#[test]
fn conditions_and_ranges_pass() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        let known = Request::get("/files/1").header("If-None-Match", "\"file-1\"");
        let answer = ingress.call(&known).await?;
        assert_eq!((answer.status(), answer.body.len()), (304, 0));
        let part = Request::get("/files/1").header("Range", "bytes=10-19");
        let answer = ingress.call(&part).await?;
        assert_eq!((answer.status(), answer.body.len()), (206, 10));
        assert_eq!(
            answer.header("content-range").as_deref(),
            Some("bytes 10-19/1024")
        );
        Ok(())
    })
}

#[test]
fn one_connection_takes_many_requests() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        let mut connection = ingress.gateway.connect().await?;
        for number in 0..20 {
            let request = Request::get(&format!("/api/{number}"));
            let (answer, kept) = connection.call(&request).await?.finish_and_keep().await?;
            assert_eq!(
                (answer.status(), answer.end),
                (200, End::Clean),
                "request {number}"
            );
            connection = kept;
        }
        Ok(())
    })
}
