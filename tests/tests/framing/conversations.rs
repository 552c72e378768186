//! What goes back and forth on one connection: pipelined requests, bodies that wait to be asked for, changes of the
//! protocol that nobody makes, answers with more behind them.

use anyhow::{Context, Result};
use spillway_tests::{
    client::{Connection, Request},
    mark, run,
    standin::{Behaviour, Step},
};

use crate::{Case, Expected, FOLLOWING, SMUGGLED, Target, answers, get, head, marked, post};

/// Writes it, and a last request behind it.
async fn write(connection: &mut Connection, bytes: &str, mark: &str) -> Result<()> {
    let last = format!(
        "{}Connection: close\r\n\r\n",
        head(&format!("GET {FOLLOWING} HTTP/1.1"))
    );
    let all = marked(format!("{bytes}{last}").as_bytes(), mark);
    Ok(connection.write(&all).await?)
}

#[test]
fn pipelined_requests_are_answered_in_their_order() -> Result<()> {
    run(async {
        let target = Target::start().await?;
        let places = ["/v1/a", "/apps", "/v1/../b", "/e/hook", "/v1/c"];
        let bytes: String = places.into_iter().map(get).collect();
        let mut connection = target.gateway.connect().await?;
        write(&mut connection, &bytes, &mark()).await?;
        let (answers, rest) = answers(connection).await?;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status()).collect();
        assert_eq!(statuses, [200, 200, 400, 200, 200, 200]);
        assert_eq!(rest, "");
        for (number, place) in [(0, "/v1/a"), (3, "/e/hook"), (4, "/v1/c"), (5, FOLLOWING)] {
            assert_eq!(answers[number].json()["target"], place);
        }
        assert!(answers[1].text().contains("<html>"), "{:?}", answers[1]);
        target.assert_unharmed().await
    })
}

#[test]
fn a_body_that_was_asked_for_ends_where_it_should() -> Result<()> {
    run(async {
        let target = Target::start().await?;
        let lines = "Expect: 100-continue\r\nContent-Length: 2\r\n";
        let mut connection = target.gateway.connect().await?;
        let mark = mark();
        connection
            .write(&marked(post(lines, "").as_bytes(), &mark))
            .await?;
        assert_eq!(connection.interim().await?, 100);
        write(&mut connection, "hi", &mark).await?;
        let (answers, rest) = answers(connection).await?;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status()).collect();
        assert_eq!((statuses.as_slice(), rest.as_str()), (&[200, 200][..], ""));
        let seen = target.dify.requests_mentioning(&mark);
        assert_eq!(seen[0].text(), "hi");
        assert_eq!(seen[0].header("expect"), None);
        target.assert_unharmed().await
    })
}

#[test]
fn a_body_that_nobody_asks_for_is_not_taken_for_a_request() -> Result<()> {
    run(async {
        let target = Target::start().await?;
        let length = SMUGGLED.len();
        for lines in [
            format!("Expect: 100-continue\r\nContent-Length: {length}\r\n"),
            "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n".to_owned(),
        ] {
            let mark = mark();
            let refused = format!("{}{lines}\r\n", head("POST /v1/../x HTTP/1.1"));
            let mut connection = target.gateway.connect().await?;
            connection.write(&marked(refused.as_bytes(), &mark)).await?;
            // The refusal comes first, so no body has been asked for.
            assert_eq!(connection.interim().await?, 400, "{lines}");
            // It may be closed by now.
            let _ = write(&mut connection, SMUGGLED, &mark).await;
            let _ = connection.drain().await?;
            target.check(&[]).await?;
            assert_eq!(target.dify.requests_mentioning(&mark).len(), 0, "{lines}");
        }
        Ok(())
    })
}

#[test]
fn the_body_of_a_refused_request_is_not_taken_for_requests() -> Result<()> {
    run(async {
        let target = Target::start().await?;
        let small = SMUGGLED.to_owned();
        let large = SMUGGLED.repeat(10_000);
        let mut cases = Vec::new();
        for body in [small, large] {
            let length = body.len();
            let head = head("POST /v1/../x HTTP/1.1");
            cases.push(Case::new(
                format!("{length} bytes for nobody"),
                format!("{head}Content-Length: {length}\r\n\r\n{body}"),
                Expected::RefusedByGateway(400),
            ));
            cases.push(Case::new(
                format!("a chunk of {length} bytes for nobody"),
                format!(
                    "{head}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
                ),
                Expected::RefusedByGateway(400),
            ));
        }
        target.check(&cases).await
    })
}

#[test]
fn a_change_of_protocol_is_not_passed_on() -> Result<()> {
    run(async {
        let target = Target::start().await?;
        let mut cases = Vec::new();
        for lines in [
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
        ] {
            cases.push(Case::new(
                lines,
                format!("{}{lines}\r\n\r\n", head("GET /v1/x HTTP/1.1")),
                Expected::arrives("/v1/x"),
            ));
        }
        target.check(&cases).await?;
        let seen = target.dify.api.requests();
        let offered = seen.iter().find(|seen| {
            ["upgrade", "http2-settings", "connection"]
                .iter()
                .any(|name| seen.header(name).is_some())
        });
        assert!(offered.is_none(), "offered to Dify: {offered:?}");
        Ok(())
    })
}

#[test]
fn a_change_of_protocol_that_nobody_asked_for_opens_no_tunnel() -> Result<()> {
    run(async {
        let target = Target::start().await?;
        let steps = vec![
            Step::text(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\ntunnelled",
            ),
            Step::Hold,
        ];
        let mark = mark();
        target.dify.api.next(Behaviour::Raw(steps));
        let upgrade = format!(
            "{}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            head("POST /v1/x HTTP/1.1")
        );
        let mut connection = target.gateway.connect().await?;
        write(&mut connection, &upgrade, &mark).await?;
        let (answers, rest) = answers(connection).await?;
        let first = answers.first().context("no answer")?;
        assert!((500..600).contains(&first.status()), "{first:?}");
        assert!(!first.text().contains("tunnelled"), "{first:?}");
        assert_eq!(rest, "");
        target.dify.api.wait_for_disconnects(1).await?;
        if let Some(next) = answers.get(1) {
            assert_eq!(next.json()["target"], FOLLOWING);
        }
        target.assert_unharmed().await
    })
}

#[test]
fn what_stands_behind_an_answer_is_nobodys_answer() -> Result<()> {
    run(async {
        let target = Target::start().await?;
        let behind = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled";
        for (method, answer) in [
            ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
            (
                "GET",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            ),
            ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
            (
                "GET",
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\n\r\n",
            ),
            ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n"),
        ] {
            for _ in 0..10 {
                let steps = vec![Step::text(format!("{answer}{behind}"))];
                target.dify.api.next(Behaviour::Raw(steps));
                let first = target.gateway.call(&Request::new(method, "/v1/x")).await?;
                assert!(!first.text().contains("smuggled"), "{method} {answer:?}");
                let next = Request::get(FOLLOWING).bearer("app-1");
                let next = target.gateway.call(&next).await?;
                assert_eq!(next.json()["target"], FOLLOWING, "{method} {answer:?}");
            }
        }
        target.assert_unharmed().await
    })
}
