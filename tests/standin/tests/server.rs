//! A stand-in as a server: ports, recording, killing, scripts.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use spillway_standin::{
    Behaviour, BodyFraming, Gate, Reply, ReservedPort, StandinDify, StandinError, StandinModel,
    client::{Body, Connection, Request, Response},
};

async fn call(standin: &spillway_standin::Standin, request: &Request) -> Result<Response> {
    let connection = Connection::open(standin.address()).await?;
    Ok(connection.call(request).await?.finish().await?)
}

#[tokio::test]
async fn a_reserved_port_refuses_until_somebody_listens_there() -> Result<()> {
    let port = ReservedPort::reserve()?;
    let refused = Connection::open(port.address()).await.unwrap_err();
    assert!(refused.is_refused(), "{refused}");
    let listener = port.listen()?;
    Connection::open(port.address()).await?;
    drop(listener);
    assert!(
        Connection::open(port.address())
            .await
            .unwrap_err()
            .is_refused()
    );
    // A server that is given the port binds it as every server does, with SO_REUSEADDR.
    let _server = std::net::TcpListener::bind(port.address())?;
    Connection::open(port.address()).await?;
    Ok(())
}

#[tokio::test]
async fn trailers_are_recorded_and_given() -> Result<()> {
    let dify = StandinDify::start()?;
    let trailers = vec![("X-Sum".to_owned(), "1, 2".to_owned())];
    let request = Request::new("POST", "/api/x")
        .body(Body::Trailed(vec![Bytes::from("hello")], trailers.clone()));
    let reply = Reply::new(200)
        .body("hello")
        .chunked(2)
        .trailer("X-Sum", "1, 2");
    dify.api.next(Behaviour::Reply(reply));
    let answer = call(&dify.api, &request).await?;
    assert_eq!(
        (answer.text().as_str(), &answer.trailers),
        ("hello", &trailers)
    );
    assert_eq!(dify.api.requests()[0].trailers, trailers);
    Ok(())
}

#[tokio::test]
async fn records_a_request_as_it_was_sent() -> Result<()> {
    let dify = StandinDify::start()?;
    let request = Request::new("PATCH", "/api/a%2fb//c?x=1&x=2&q=%E4%BD%A0")
        .header("X-One", "first")
        .header("x-one", "second")
        .body(Body::Chunked(vec![
            Bytes::from("hello "),
            Bytes::from("world"),
        ]));
    assert_eq!(call(&dify.api, &request).await?.status(), 200);
    let seen = &dify.api.requests()[0];
    assert_eq!(seen.method, "PATCH");
    assert_eq!(seen.target, "/api/a%2fb//c?x=1&x=2&q=%E4%BD%A0");
    assert_eq!(seen.path(), "/api/a%2fb//c");
    assert_eq!(seen.header_values("X-ONE"), ["first", "second"]);
    assert_eq!(seen.framing, BodyFraming::Chunked);
    assert_eq!(
        (seen.text().as_str(), seen.body_length, seen.body_complete),
        ("hello world", 11, true)
    );
    let sum = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
    assert_eq!(seen.body_sha256, sum, "sha256 of \"hello world\"");
    Ok(())
}

#[tokio::test]
async fn keeps_a_connection_for_several_requests() -> Result<()> {
    let dify = StandinDify::start()?;
    let connection = Connection::open(dify.web.address()).await?;
    let incoming = connection.call(&Request::get("/one")).await?;
    let (first, connection) = incoming.finish_and_keep().await?;
    let second = connection
        .call(&Request::new("HEAD", "/two"))
        .await?
        .finish()
        .await?;
    assert_eq!(
        (first.status(), second.status(), second.body.len()),
        (200, 200, 0)
    );
    assert_eq!(
        first.header("content-length"),
        second.header("content-length")
    );
    let seen = dify.web.wait_for_requests(2).await?;
    assert_eq!(seen[0].connection, seen[1].connection);
    assert_eq!(dify.web.connections(), 1);
    Ok(())
}

#[tokio::test]
async fn killed_it_refuses_and_restarted_it_answers_on_the_same_port() -> Result<()> {
    let model = StandinModel::start("first")?;
    let held = Gate::new();
    model.next(Behaviour::held(&held, Behaviour::Normal));
    let mut waiting = Connection::open(model.address()).await?;
    waiting.send(&Request::get("/v1/models")).await?;
    model.wait_for_requests(1).await?;
    model.kill().await;
    let broken = waiting.answer("GET").await.unwrap_err();
    assert!(matches!(broken, StandinError::NoHead { .. }), "{broken}");
    assert!(
        Connection::open(model.address())
            .await
            .unwrap_err()
            .is_refused()
    );
    model.restart()?;
    assert_eq!(
        call(&model, &Request::get("/v1/models")).await?.status(),
        200
    );
    model.kill().await;
    model.kill().await;
    Ok(())
}

#[tokio::test]
async fn behaves_as_queued_then_as_mentioned_then_as_always() -> Result<()> {
    let model = StandinModel::start("first")?;
    model.always(Behaviour::Error(503));
    model.when("mark-1", Behaviour::Error(500));
    model.when("mark-12", Behaviour::Error(429));
    model.next(Behaviour::Error(400));
    model.next(Behaviour::Error(401));
    let mut statuses = Vec::new();
    for target in ["/a", "/mark-1", "/mark-1", "/mark-12", "/a"] {
        statuses.push(call(&model, &Request::get(target)).await?.status());
    }
    assert_eq!(statuses, [400, 401, 500, 429, 503]);
    model.always(Behaviour::Normal);
    assert_eq!(
        call(&model, &Request::get("/v1/models")).await?.status(),
        200
    );
    assert_eq!(model.requests_mentioning("mark-1").len(), 3);
    Ok(())
}

#[tokio::test]
async fn notices_when_the_peer_leaves() -> Result<()> {
    let model = StandinModel::start("first")?;
    model.always(Behaviour::Silent);
    let mut connection = Connection::open(model.address()).await?;
    connection.send(&Request::get("/v1/models")).await?;
    model.wait_for_requests(1).await?;
    drop(connection);
    model.wait_for_disconnects(1).await?;

    // In the middle of a body as well; an idle connection does not count.
    let mut connection = Connection::open(model.address()).await?;
    connection
        .write(b"POST /v1/embeddings HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        .await?;
    model.wait_for_body_bytes(3).await?;
    drop(connection);
    model.wait_for_disconnects(2).await?;
    let cut = model.wait_for_requests(2).await?.pop().unwrap();
    assert_eq!((cut.body_length, cut.body_complete), (3, false));
    Ok(())
}

#[tokio::test]
async fn counts_a_body_without_keeping_all_of_it() -> Result<()> {
    let dify = StandinDify::start()?;
    let size = 20 * 1024 * 1024_usize;
    let request = Request::post(
        "/v1/files/upload",
        "application/octet-stream",
        vec![7_u8; size],
    )
    .bearer("app-1");
    let answer = call(&dify.api, &request).await?;
    assert_eq!(
        (answer.status(), answer.json()["size"].as_u64()),
        (201, Some(size as u64))
    );
    let seen = &dify.api.requests()[0];
    assert_eq!(seen.body_length, size as u64);
    assert!(seen.body.len() < size, "{} bytes kept", seen.body.len());
    assert_eq!(
        answer.json()["sha256"].as_str(),
        Some(seen.body_sha256.as_str())
    );
    Ok(())
}

#[tokio::test]
async fn gives_the_reply_it_is_told_to_give() -> Result<()> {
    let dify = StandinDify::start()?;
    let reply = Reply::new(206)
        .header("X-A", "1")
        .header("X-A", "2")
        .body("abcdef");
    dify.api.next(Behaviour::Reply(reply.clone()));
    dify.api.next(Behaviour::late(
        Duration::from_millis(1),
        Behaviour::Reply(reply.chunked(4)),
    ));
    dify.api
        .next(Behaviour::Reply(Reply::new(304).header("ETag", "\"1\"")));
    let whole = call(&dify.api, &Request::get("/files/1")).await?;
    assert_eq!(whole.head.header_values("x-a"), ["1", "2"]);
    assert_eq!(
        (whole.status(), whole.header("content-length").as_deref()),
        (206, Some("6"))
    );
    let chunked = call(&dify.api, &Request::get("/files/1")).await?;
    assert_eq!((&whole.body, chunked.pieces.len()), (&chunked.body, 2));
    let bodiless = call(&dify.api, &Request::get("/files/1")).await?;
    assert_eq!(
        (bodiless.status(), bodiless.header("content-length")),
        (304, None)
    );
    Ok(())
}
