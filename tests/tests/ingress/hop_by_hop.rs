//! Header fields of an answer that are for one hop: whatever an upstream sends, the client gets the answer, not an
//! empty 500 (which Spin 4.1 made of it).

use anyhow::Result;
use spillway_tests::{
    client::{End, Request},
    mark, run,
    standin::{Behaviour, Reply, Step},
};

use crate::Ingress;

/// What upstreams say of their connections. The ways in which Dify's gunicorn and Next.js answer are among them.
const FIELDS: [&[(&str, &str)]; 9] = [
    &[("Connection", "keep-alive")],
    &[("Connection", "close")],
    &[("Connection", "keep-alive, x-hop"), ("X-Hop", "1")],
    &[("Connection", "keep-alive"), ("Keep-Alive", "timeout=5")],
    &[("Keep-Alive", "timeout=5, max=100")],
    &[("Connection", "Upgrade"), ("Upgrade", "h2c")],
    &[("Upgrade", "h2c")],
    &[("Proxy-Connection", "keep-alive")],
    &[
        ("Proxy-Authenticate", "Basic"),
        ("Proxy-Authorization", "Basic eDp5"),
    ],
];

/// Names that no client may get of an upstream.
const HOP_BY_HOP: [&str; 6] = [
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "upgrade",
    "http2-settings",
];

#[test]
fn an_answer_with_any_of_them_is_the_answer() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        for fields in FIELDS {
            for chunked in [false, true] {
                let mark = mark();
                let reply = Reply::new(200)
                    .header("Content-Type", "application/json")
                    .header("X-Stays", "yes");
                let mut reply = fields
                    .iter()
                    .fold(reply, |reply, (name, value)| reply.header(name, value))
                    .body("{\"result\": \"success\"}");
                if chunked {
                    reply = reply.chunked(5);
                }
                ingress.dify.api.when(&mark, Behaviour::Reply(reply));
                let request = Request::get("/console/api/x").header("X-Mark", &mark);
                let answer = ingress.call(&request).await?;
                let what = format!("{fields:?}, chunked: {chunked}");
                assert_eq!(answer.status(), 200, "{what}");
                assert_eq!(answer.text(), "{\"result\": \"success\"}", "{what}");
                assert_eq!(answer.end, End::Clean, "{what}");
                assert_eq!(answer.header("x-stays").as_deref(), Some("yes"), "{what}");
                for name in HOP_BY_HOP {
                    assert_eq!(answer.header(name), None, "{name} with {what}");
                }
            }
        }
        Ok(())
    })
}

#[test]
fn so_is_one_that_is_read_along() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        for fields in FIELDS {
            let mark = mark();
            let reply = Reply::new(200).header("Content-Type", "text/event-stream");
            let reply = fields
                .iter()
                .fold(reply, |reply, (name, value)| reply.header(name, value))
                .body("data: {\"event\": \"message_end\"}\n\n")
                .chunked(7);
            ingress.dify.api.when(&mark, Behaviour::Reply(reply));
            let body = serde_json::json!({"inputs": {}, "query": mark, "response_mode": "streaming", "user": "u"});
            let request = Request::json("/v1/chat-messages", &body).bearer("app-1");
            let answer = ingress.call(&request).await?;
            assert_eq!(answer.status(), 200, "{fields:?}");
            assert!(answer.text().contains("message_end"), "{fields:?}");
            assert_eq!(answer.end, End::Clean, "{fields:?}");
        }
        Ok(())
    })
}

/// What an upstream says of its answer's length, and what reaches the client: the answer, or a 502; never an empty 500.
#[test]
fn so_is_one_whose_length_is_told_twice_or_beside_chunks() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        let raw = |fields: &str, body: &str| {
            Behaviour::Raw(vec![
                Step::text(format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n{fields}Connection: close\r\n\r\n{body}"
                )),
                Step::Close,
            ])
        };
        let chunked = "Transfer-Encoding: chunked\r\n";
        let pieces = "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
        for (fields, body, told, status) in [
            (
                "Content-Length: 5\r\nContent-Length: 5\r\n".to_owned(),
                "hello",
                "hello",
                200,
            ),
            ("Content-Length: 5, 5\r\n".to_owned(), "hello", "hello", 200),
            (
                "Transfer-Encoding: identity\r\n".to_owned(),
                "hello",
                "hello",
                200,
            ),
            (
                "Transfer-Encoding: identity\r\nContent-Length: 5\r\n".to_owned(),
                "hello",
                "hello",
                200,
            ),
            (
                format!("Content-Length: 5\r\n{chunked}"),
                pieces,
                "hello world",
                200,
            ),
            (
                format!("{chunked}Content-Length: 500\r\n"),
                pieces,
                "hello world",
                200,
            ),
            (
                "Content-Length: 5\r\nContent-Length: 6\r\n".to_owned(),
                "hello",
                "",
                502,
            ),
            (
                "Transfer-Encoding: gzip, chunked\r\n".to_owned(),
                pieces,
                "",
                502,
            ),
        ] {
            let mark = mark();
            ingress.dify.api.when(&mark, raw(&fields, body));
            let request = Request::get("/console/api/x").header("X-Mark", &mark);
            let answer = ingress.call(&request).await?;
            assert_eq!(answer.status(), status, "{fields:?}: {}", answer.text());
            if status == 200 {
                assert_eq!(answer.text(), told, "{fields:?}");
                assert_eq!(answer.end, End::Clean, "{fields:?}");
            } else {
                assert!(!answer.text().is_empty(), "{fields:?}");
                assert_eq!(
                    answer.header("x-gateway-reason").as_deref(),
                    Some("upstream_error"),
                    "{fields:?}"
                );
            }
        }
        Ok(())
    })
}

#[test]
fn one_with_200_kib_of_headers_is_a_502() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        let mark = mark();
        let reply = Reply::new(200).header("X-Large", &"x".repeat(200 * 1024));
        ingress.dify.api.when(&mark, Behaviour::Reply(reply));
        let request = Request::get("/console/api/x").header("X-Mark", &mark);
        let answer = ingress.call(&request).await?;
        assert_eq!(answer.status(), 502, "{}", answer.text());
        assert!(!answer.text().is_empty());
        Ok(())
    })
}
