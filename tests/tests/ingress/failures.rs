//! A Dify that is down, silent, or breaks off.

use anyhow::Result;
use spillway_tests::{
    Reason, assert_dify_error,
    client::{End, Request},
    embedded_only, mark, reason, run,
    standin::{Behaviour, ReservedPort, Step},
};

use crate::Ingress;

/// The paths whose callers expect Dify's error form.
const PROGRAMS: [&str; 3] = [
    "/v1/chat-messages",
    "/api/chat-messages",
    "/console/api/apps",
];

fn assert_short_page(answer: &spillway_tests::client::Response, status: u16) {
    assert_eq!(answer.status(), status, "{}", answer.text());
    let content_type = answer.header("content-type").unwrap_or_default();
    assert!(
        content_type.starts_with("text/html"),
        "a browser got {content_type}"
    );
    let text = answer.text();
    assert!(text.to_ascii_lowercase().contains("<html"), "{text}");
    assert!(
        text.len() < 4096,
        "a page of {} bytes is not short",
        text.len()
    );
}

#[test]
fn a_service_that_refuses_is_a_502() -> Result<()> {
    run(async {
        let dead = ReservedPort::reserve()?;
        let ingress = Ingress::start(|_| {
            let url = dead.url();
            let services =
                format!("{{ api: \"{url}\", web: \"{url}\", plugin_daemon: \"{url}\" }}");
            format!("agents:\n  - name: dify\n    services: {services}\n")
        })
        .await?;
        for target in PROGRAMS {
            let answer = ingress
                .call(&Request::json(target, &serde_json::json!({"query": "hi"})))
                .await?;
            let message = assert_dify_error(&answer, 502);
            let port = dead.address().port().to_string();
            assert!(
                !message.contains(&port),
                "an internal address in {message:?}"
            );
            reason(&answer.head, Reason::UpstreamRefused);
        }
        let page = Request::get("/apps")
            .header("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");
        let answer = ingress.call(&page).await?;
        assert_short_page(&answer, 502);
        assert!(
            !answer.text().contains(&dead.address().port().to_string()),
            "{}",
            answer.text()
        );
        assert_eq!(ingress.call(&Request::get("/e/hook")).await?.status(), 502);
        let head = ingress.call(&Request::new("HEAD", "/v1/info")).await?;
        assert_eq!((head.status(), head.body.len()), (502, 0));
        Ok(())
    })
}

#[test]
fn a_service_that_stays_silent_is_a_504_and_its_connection_is_closed() -> Result<()> {
    run(async {
        let ingress = Ingress::plain("timeouts: { first_byte: 300ms }").await?;
        ingress.dify.api.always(Behaviour::Silent);
        ingress.dify.web.always(Behaviour::Silent);
        for target in PROGRAMS {
            let answer = ingress.call(&Request::get(target).bearer("app-1")).await?;
            assert_dify_error(&answer, 504);
            reason(&answer.head, Reason::UpstreamTimeout);
        }
        ingress
            .dify
            .api
            .wait_for_disconnects(PROGRAMS.len())
            .await?;
        let page = Request::get("/apps").header("Accept", "text/html");
        assert_short_page(&ingress.call(&page).await?, 504);
        Ok(())
    })
}

#[test]
fn an_upload_that_stops_is_a_408_and_does_not_reach_dify() -> Result<()> {
    run(async {
        let ingress =
            Ingress::plain("timeouts: { first_byte: 300ms, run_first_byte: 300ms }").await?;
        for target in PROGRAMS {
            let mark = mark();
            let mut connection = ingress.gateway.connect().await?;
            let head = format!(
                "POST {target}?mark={mark} HTTP/1.1\r\nHost: dify\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{\"a"
            );
            connection.write(head.as_bytes()).await?;
            let answer = connection.answer("POST").await?.finish().await?;
            assert_dify_error(&answer, 408);
            reason(&answer.head, Reason::ClientTooSlow);
            assert!(ingress.dify.requests_mentioning(&mark).is_empty());
        }
        ingress.gateway.assert_no_trap();
        Ok(())
    })
}

#[test]
fn a_service_that_sends_no_http_is_a_502() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        for behaviour in [Behaviour::Reset, Behaviour::Close, Behaviour::Garbage] {
            let mark = mark();
            ingress.dify.api.when(&mark, behaviour.clone());
            let request = Request::json("/v1/x", &serde_json::json!({"mark": mark}));
            let answer = ingress.call(&request).await?;
            assert_dify_error(&answer, 502);
            reason(&answer.head, Reason::UpstreamError);
            assert_eq!(
                ingress.dify.requests_mentioning(&mark).len(),
                1,
                "{behaviour:?}: a POST is not repeated"
            );
        }
        Ok(())
    })
}

#[test]
fn an_answer_that_breaks_off_ends_dirty() -> Result<()> {
    run(async {
        if !embedded_only("Spin ends a broken answer as if it were whole") {
            return Ok(());
        }
        let ingress = Ingress::shared().await?;
        let length = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc";
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
        let inside = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc";
        for head in [length, chunked, inside] {
            for end in [Step::Close, Step::Reset] {
                let mark = mark();
                let steps = vec![Step::text(head), end.clone()];
                ingress.dify.api.when(&mark, Behaviour::Raw(steps));
                let request = Request::get("/files/1").header("X-Mark", &mark);
                // The break can come before the head has gone out: then there is an error or no answer at all.
                let Ok(incoming) = ingress.gateway.begin(&request).await else {
                    continue;
                };
                if incoming.status() == 502 {
                    continue;
                }
                let answer = incoming.finish().await?;
                assert!(
                    matches!(answer.end, End::Dirty(_)),
                    "{head:?} then {end:?} looks complete to the client: {answer:?}"
                );
            }
        }
        Ok(())
    })
}

#[test]
fn a_service_that_comes_back_is_found_again() -> Result<()> {
    run(async {
        let ingress = Ingress::plain("").await?;
        let request = Request::get("/api/x");
        assert_eq!(ingress.call(&request).await?.status(), 200);
        ingress.dify.api.kill().await;
        assert_eq!(ingress.call(&request).await?.status(), 502);
        ingress.dify.api.restart()?;
        assert_eq!(
            ingress.call(&request).await?.status(),
            200,
            "a killed service's connection is not used again"
        );
        Ok(())
    })
}
