//! Large bodies: through, and not into memory.

use anyhow::Result;
use bytes::Bytes;
use serde_json::{Value, json};
use spillway_tests::{
    client::{Body, Connection, End, Request},
    mannerly_only, mark, run,
    standin::{Behaviour, Reply},
};

use crate::Ingress;

const MEBIBYTE: usize = 1024 * 1024;
/// The host's memory grows by less than this for a body of any size.
const GROWTH: u64 = 16 * 1024 * 1024;

async fn own() -> Result<Ingress> {
    Ingress::plain("").await
}

/// Sends an upload of so many MiB, piece by piece.
async fn upload(connection: &mut Connection, mebibytes: usize, chunked: bool) -> Result<()> {
    let framing = if chunked {
        "Transfer-Encoding: chunked".to_owned()
    } else {
        format!("Content-Length: {}", mebibytes.saturating_mul(MEBIBYTE))
    };
    let head = format!(
        "POST /v1/files/upload HTTP/1.1\r\nHost: dify\r\nAuthorization: Bearer app-1\r\n\
         Content-Type: multipart/form-data; boundary=x\r\n{framing}\r\n\r\n"
    );
    connection.write(head.as_bytes()).await?;
    let piece = vec![b'u'; MEBIBYTE];
    for _ in 0..mebibytes {
        if chunked {
            connection
                .write(format!("{MEBIBYTE:x}\r\n").as_bytes())
                .await?;
        }
        connection.write(&piece).await?;
        if chunked {
            connection.write(b"\r\n").await?;
        }
    }
    if chunked {
        connection.write(b"0\r\n\r\n").await?;
    }
    Ok(())
}

#[test]
fn an_upload_of_100_mib_arrives_whole_in_bounded_memory() -> Result<()> {
    run(async {
        let ingress = own().await?;
        assert_eq!(ingress.call(&Request::get("/api/x")).await?.status(), 200);
        let before = ingress.gateway.peak_memory()?;
        for chunked in [false, true] {
            let mut connection = ingress.gateway.connect().await?;
            upload(&mut connection, 100, chunked).await?;
            let answer = connection.answer("POST").await?.finish().await?;
            assert_eq!(answer.status(), 201, "{}", answer.text());
            assert_eq!(
                answer.json().get("size"),
                Some(&Value::from(100 * MEBIBYTE))
            );
        }
        if mannerly_only("memory is measured where instances are not replaced all the time") {
            let growth = ingress.gateway.peak_memory()?.saturating_sub(before);
            assert!(
                growth < GROWTH,
                "the uploads raised the host's memory by {growth} bytes"
            );
        }
        Ok(())
    })
}

#[test]
fn an_upload_goes_on_while_it_is_still_coming() -> Result<()> {
    run(async {
        let ingress = own().await?;
        let mut connection = ingress.gateway.connect().await?;
        let head = "POST /v1/files/upload HTTP/1.1\r\nHost: dify\r\n\
            Authorization: Bearer app-1\r\nContent-Length: 2000000\r\n\r\n";
        connection.write(head.as_bytes()).await?;
        connection.write(&vec![1; 1_000_000]).await?;
        // Half of it is there although the other half has not been sent.
        ingress.dify.api.wait_for_body_bytes(900_000).await?;
        connection.write(&vec![2; 1_000_000]).await?;
        let answer = connection.answer("POST").await?.finish().await?;
        assert_eq!(answer.json().get("size"), Some(&Value::from(2_000_000)));
        Ok(())
    })
}

#[test]
fn a_client_that_waits_to_be_asked_for_its_body_is_asked() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        let mut connection = ingress.gateway.connect().await?;
        let head = "POST /v1/files/upload HTTP/1.1\r\nHost: dify\r\nAuthorization: Bearer app-1\r\n\
            Expect: 100-continue\r\nContent-Length: 5\r\n\r\n";
        connection.write(head.as_bytes()).await?;
        assert_eq!(connection.interim().await?, 100);
        connection.write(b"hello").await?;
        let answer = connection.answer("POST").await?.finish().await?;
        assert_eq!(
            answer.json().get("size"),
            Some(&Value::from(5)),
            "{}",
            answer.text()
        );
        Ok(())
    })
}

#[test]
fn an_upload_that_breaks_off_breaks_off_upstream() -> Result<()> {
    run(async {
        let ingress = own().await?;
        let mut connection = ingress.gateway.connect().await?;
        connection
            .write(
                b"POST /v1/files/upload HTTP/1.1\r\nHost: dify\r\nContent-Length: 100000\r\n\r\nabc",
            )
            .await?;
        ingress.dify.api.wait_for_body_bytes(3).await?;
        drop(connection);
        ingress.dify.api.wait_for_disconnects(1).await?;
        let seen = ingress.dify.api.wait_for_requests(1).await?;
        assert!(
            seen.iter().all(|request| !request.body_complete),
            "a broken upload looks complete to Dify"
        );
        Ok(())
    })
}

#[test]
fn a_download_of_100_mib_arrives_whole_in_bounded_memory() -> Result<()> {
    run(async {
        let ingress = own().await?;
        assert_eq!(ingress.call(&Request::get("/api/x")).await?.status(), 200);
        let before = ingress.gateway.peak_memory()?;
        let body: Bytes = (0..=u8::MAX)
            .cycle()
            .take(100 * MEBIBYTE)
            .collect::<Vec<_>>()
            .into();
        let plain = Reply::new(200)
            .header("Content-Type", "video/mp4")
            .body(body.clone());
        for reply in [plain.clone(), plain.chunked(100_000)] {
            ingress.dify.api.next(Behaviour::Reply(reply.clone()));
            let answer = ingress.call(&Request::get("/files/large")).await?;
            assert_eq!(answer.end, End::Clean);
            assert!(
                answer.body == body,
                "{} bytes came, or others",
                answer.body.len()
            );
            let length = answer.header("content-length");
            let expected = reply.chunk_size.is_none().then(|| body.len().to_string());
            assert_eq!(length, expected, "the framing is kept");
        }
        if mannerly_only("memory is measured where instances are not replaced all the time") {
            let growth = ingress.gateway.peak_memory()?.saturating_sub(before);
            assert!(
                growth < GROWTH,
                "the downloads raised the host's memory by {growth} bytes"
            );
        }
        Ok(())
    })
}

#[test]
fn a_run_that_answers_100_mib_is_read_along_in_bounded_memory() -> Result<()> {
    run(async {
        let ingress = own().await?;
        let question =
            json!({"inputs": {}, "query": "q", "response_mode": "blocking", "user": "u"});
        let ask = Request::json("/v1/chat-messages", &question).bearer("app-1");
        assert_eq!(ingress.call(&ask).await?.status(), 200);
        let before = ingress.gateway.peak_memory()?;
        let one_line = vec![b'x'; 100 * MEBIBYTE];
        let events =
            b"data: {\"event\": \"message\", \"answer\": \"word\"}\n\n".repeat(100 * MEBIBYTE / 48);
        for (media_type, body) in [
            ("application/json", one_line.clone()),
            ("text/event-stream", one_line),
            ("text/event-stream", events),
        ] {
            let reply = Reply::new(200)
                .header("Content-Type", media_type)
                .body(body.clone())
                .chunked(MEBIBYTE);
            ingress.dify.api.next(Behaviour::Reply(reply));
            let answer = ingress.call(&ask).await?;
            assert_eq!(answer.end, End::Clean, "{media_type}");
            assert!(
                answer.body == body,
                "{} bytes came, or others",
                answer.body.len()
            );
        }
        if mannerly_only("memory is measured where instances are not replaced all the time") {
            let growth = ingress.gateway.peak_memory()?.saturating_sub(before);
            assert!(
                growth < GROWTH,
                "the answers raised the host's memory by {growth} bytes"
            );
        }
        Ok(())
    })
}

#[test]
fn an_upload_in_single_bytes_arrives_whole() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        let mark = mark();
        let parts = format!("{{\"mark\":\"{mark}\"}}")
            .bytes()
            .map(|byte| Bytes::from(vec![byte]))
            .collect();
        let request = Request::new("POST", "/v1/x").body(Body::Chunked(parts));
        ingress.call(&request).await?;
        let seen = ingress.dify.api.wait_for_request(&mark).await?;
        assert_eq!(seen.json().get("mark"), Some(&Value::from(mark)));
        Ok(())
    })
}
