//! Header fields of an answer that are for one hop: whatever an upstream sends, the client gets the answer, not an
//! empty 500 (which Spin 4.1 made of it).

use anyhow::Result;
use spillway_tests::{
    client::{End, Request},
    mark, run,
    standin::{Behaviour, Reply},
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
