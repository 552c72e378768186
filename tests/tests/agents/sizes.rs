//! Limits of size, and framing that means two things.

use anyhow::Result;
use bytes::Bytes;
use spillway_tests::{
    assert_dify_error,
    client::{Body, Request},
    run,
    standin::BodyFraming,
};

use crate::Published;

fn upload(body: Body) -> Request {
    Request::new("POST", "/v1/files/upload")
        .bearer("app-1")
        .header("Content-Type", "application/octet-stream")
        .body(body)
}

#[test]
fn a_body_above_the_limit_is_refused_whether_its_length_is_told_or_not() -> Result<()> {
    run(async {
        let published = Published::start("", "max_body_size: 1MiB").await?;
        let mebibyte = Bytes::from(vec![b'x'; 1 << 20]);
        let more = Bytes::from(vec![b'x'; (1 << 20) + 1]);
        let pieces = |bytes: &Bytes| {
            Body::Chunked(bytes.chunks(100_000).map(Bytes::copy_from_slice).collect())
        };
        for fitting in [Body::Length(mebibyte.clone()), pieces(&mebibyte)] {
            let answer = published.call(&upload(fitting)).await?;
            assert_eq!(answer.status(), 201, "{}", answer.text());
            assert_eq!(answer.json()["size"], 1 << 20);
        }
        for too_large in [Body::Length(more.clone()), pieces(&more)] {
            let answer = published.call(&upload(too_large)).await?;
            assert_dify_error(&answer, 413);
            assert!(answer.text().contains("max_body_size"), "{}", answer.text());
        }
        let seen = published.dify.api.requests();
        assert!(seen.iter().filter(|seen| seen.body_complete).count() == 2);
        Ok(())
    })
}

#[test]
fn too_many_headers_are_refused_in_a_form_for_whoever_sent_them() -> Result<()> {
    run(async {
        let published = Published::start("", "").await?;
        let request = Request::get("/apps").header("Cookie", &"c".repeat(70 << 10));
        assert_dify_error(&published.call(&request).await?, 431);
        let browser = request.header("Accept", "text/html,*/*;q=0.8");
        let answer = published.call(&browser).await?;
        assert_eq!(answer.status(), 431);
        let content_type = answer.header("content-type").unwrap_or_default();
        assert!(content_type.starts_with("text/html"), "{content_type}");
        Ok(())
    })
}

#[test]
fn of_two_lengths_of_one_body_only_one_can_reach_dify() -> Result<()> {
    run(async {
        let published = Published::start("", "").await?;
        let mut connection = published.gateway.connect().await?;
        connection
            .write(
                b"POST /api/x HTTP/1.1\r\nHost: dify\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            )
            .await?;
        let answer = connection.answer("POST").await?.finish().await?;
        // A host that shows the gateway both gets it refused. One that, as RFC 9112 allows, goes by the transfer
        // coding alone leaves no second length to misunderstand.
        for seen in published.dify.api.requests() {
            assert_eq!(
                (seen.framing, seen.text().as_str()),
                (BodyFraming::Chunked, "hi")
            );
            assert_eq!(seen.header("content-length"), None);
        }
        if published.dify.api.requests().is_empty() {
            assert_dify_error(&answer, 400);
        }
        Ok(())
    })
}
