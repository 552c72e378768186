//! WebSockets of Dify's collaboration mode, byte by byte. A real server and real clients are in `clients`.

use anyhow::Result;
use spillway_tests::{
    Gateway, Host, Options, Reason, assert_dify_error,
    client::Request,
    embedded_only,
    metrics::{REQUESTS, parse, total},
    reason, run,
    standin::{Behaviour, Reply, StandinDify, Step},
    until,
};

const TARGET: &str = "/socket.io/?EIO=4&transport=websocket";
const WHY: &str = "Spin hands no connection on, so that a WebSocket is answered with 501";
/// A text frame, "hello".
const FRAME: &str = "\u{1}\u{5}hello";

/// Sec-WebSocket-Key and -Accept are those of RFC 6455 §1.3; the gateway leaves them to the two that talk.
fn websocket() -> Request {
    Request::get(TARGET)
        .header("Connection", "keep-alive, Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("Sec-WebSocket-Version", "13")
        .header("Origin", "http://dify.example.com")
        .header("Cookie", "access_token=abc")
}

/// The API alone is Dify's: `api_websocket` runs the same image.
fn yaml(dify: &StandinDify, more: &str) -> String {
    let (api, own) = (dify.web.url(), dify.api.url());
    format!(
        "agents: [{{ name: dify, services: {{ api: \"{api}\", socket_io: \"{own}\" }}{more} }}]"
    )
}

async fn start(dify: &StandinDify) -> Result<Gateway> {
    Gateway::start(&yaml(dify, ""), Options::default()).await
}

fn switching(after: &str) -> Behaviour {
    Behaviour::Raw(vec![
        Step::text(format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Gateway-Join: 0123456789abcdef\r\n\r\n{after}"
        )),
        Step::Close,
    ])
}

/// Everything that comes back until the connection ends.
async fn exchange(gateway: &Gateway, request: &Request) -> Result<String> {
    let mut connection = gateway.connect().await?;
    connection.send(request).await?;
    let bytes = connection.drain().await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[test]
fn the_service_gets_the_request_and_the_client_the_answer_and_what_follows() -> Result<()> {
    if !embedded_only(WHY) {
        return Ok(());
    }
    run(async {
        let dify = StandinDify::start()?;
        let gateway = start(&dify).await?;
        dify.api.next(switching(FRAME));
        let forged = websocket()
            .header("X-Gateway-Join", "forged 60000")
            .header("X-Forwarded-For", "6.6.6.6");
        let came = exchange(&gateway, &forged).await?;
        let (head, after) = came.split_once("\r\n\r\n").unwrap_or_default();
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 101 "), "{came}");
        for field in [
            "connection: upgrade",
            "upgrade: websocket",
            "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=",
            "x-request-id: ",
        ] {
            assert!(head.contains(field), "{field}: {came}");
        }
        for field in ["x-gateway-join", "content-length", "transfer-encoding"] {
            assert!(!head.contains(field), "{field}: {came}");
        }
        assert_eq!(after, FRAME);
        let seen = dify.api.requests();
        assert_eq!(seen.len(), 1, "{seen:?}");
        let seen = &seen[0];
        assert_eq!(seen.target, TARGET);
        for (name, value) in [
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("origin", "http://dify.example.com"),
            ("cookie", "access_token=abc"),
            ("x-forwarded-for", "127.0.0.1"),
        ] {
            assert_eq!(seen.header(name).as_deref(), Some(value), "{name}");
        }
        assert_eq!(seen.header("x-gateway-join"), None);
        assert!(seen.header("x-request-id").is_some());
        let labels = [
            ("route", "/socket.io/"),
            ("status", "101"),
            ("reason", "ok"),
        ];
        until("the WebSocket in the metrics", async || {
            let page = gateway.call(&Request::get("/_gateway/metrics")).await?;
            let samples = parse(&page.text()).map_err(anyhow::Error::msg)?;
            Ok((total(&samples, REQUESTS, &labels) >= 1.0).then_some(()))
        })
        .await?;
        until("the line of its end in the log", async || {
            let log = gateway.log();
            let line = log.lines().find(|line| line.contains("] websocket "));
            Ok(line.map(|line| assert!(line.ends_with("to_client=7 end=service"), "{line}")))
        })
        .await
    })
}

#[test]
fn a_service_that_refuses_is_heard_and_its_connection_serves_on() -> Result<()> {
    if !embedded_only(WHY) {
        return Ok(());
    }
    run(async {
        let dify = StandinDify::start()?;
        let gateway = start(&dify).await?;
        let refusal = Reply::html(403, "not you").header("X-Gateway-Join", "0123456789abcdef");
        dify.api.next(Behaviour::Reply(refusal));
        let first = gateway.connect().await?.call(&websocket()).await?;
        assert_eq!(first.status(), 403);
        let (answer, connection) = first.finish_and_keep().await?;
        assert_eq!(answer.text(), "not you");
        assert_eq!(answer.header("x-gateway-join"), None);
        let second = connection.call(&Request::get("/v1/info")).await?;
        assert_eq!(second.finish().await?.status(), 200);
        Ok(())
    })
}

#[test]
fn a_service_that_is_not_reached_is_told_in_difys_form() -> Result<()> {
    if !embedded_only(WHY) {
        return Ok(());
    }
    run(async {
        let dify = StandinDify::start()?;
        let options = Options {
            allowed_outbound_hosts: Some(vec![dify.web.url()]),
            ..Options::default()
        };
        let forbidden = Gateway::start(&yaml(&dify, ""), options).await?;
        let answer = forbidden.call(&websocket()).await?;
        assert_dify_error(&answer, 502);
        reason(&answer.head, Reason::HostNotAllowed);
        assert!(dify.api.requests().is_empty());
        let gateway = start(&dify).await?;
        dify.api.kill().await;
        let answer = gateway.call(&websocket()).await?;
        assert_dify_error(&answer, 502);
        reason(&answer.head, Reason::UpstreamRefused);
        Ok(())
    })
}

#[test]
fn a_request_that_is_no_websocket_in_order_goes_on_as_any_other() -> Result<()> {
    if !embedded_only(WHY) {
        return Ok(());
    }
    run(async {
        let dify = StandinDify::start()?;
        let gateway = start(&dify).await?;
        let mut requests = vec![
            Request::get(TARGET).header("Upgrade", "websocket"),
            Request::get(TARGET)
                .header("Connection", "Upgrade")
                .header("Upgrade", "h2c"),
        ];
        let mut with_body = Request::post(TARGET, "text/plain", "40");
        with_body = with_body
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket");
        requests.push(with_body);
        for request in &requests {
            assert_eq!(gateway.call(request).await?.status(), 200, "{request:?}");
        }
        let seen = dify.api.requests();
        assert_eq!(seen.len(), requests.len());
        assert!(seen.iter().all(|seen| seen.header("upgrade").is_none()));
        // What is no part of the collaboration mode is never joined.
        let elsewhere = Request {
            target: "/v1/info".to_owned(),
            ..websocket()
        };
        assert_eq!(gateway.call(&elsewhere).await?.status(), 200);
        let seen = dify.web.requests();
        assert!(seen.iter().all(|seen| seen.header("upgrade").is_none()));
        Ok(())
    })
}

#[test]
fn silence_beyond_the_limit_ends_it() -> Result<()> {
    if !embedded_only(WHY) {
        return Ok(());
    }
    run(async {
        let dify = StandinDify::start()?;
        let yaml = yaml(&dify, ", timeouts: { idle: 300ms }");
        let gateway = Gateway::start(&yaml, Options::default()).await?;
        let held = Behaviour::Raw(vec![
            Step::text(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            ),
            Step::Hold,
        ]);
        dify.api.next(held);
        let came = exchange(&gateway, &websocket()).await?;
        assert!(came.ends_with("\r\n\r\n"), "{came}");
        dify.api.wait_for_disconnects(1).await?;
        until("the line of its end in the log", async || {
            Ok(gateway.log().contains("end=idle").then_some(()))
        })
        .await
    })
}

#[test]
fn on_spin_a_websocket_is_told_of_the_way_past_the_gateway() -> Result<()> {
    if Host::chosen() != Host::Spin {
        return Ok(());
    }
    run(async {
        let dify = StandinDify::start()?;
        let gateway = start(&dify).await?;
        let upgrade = Request::get("/socket.io/?EIO=4").header("Upgrade", "websocket");
        for request in [websocket(), Request::get(TARGET), upgrade] {
            let answer = gateway.call(&request).await?;
            assert_dify_error(&answer, 501);
            assert_eq!(answer.json()["code"], "not_implemented");
            reason(&answer.head, Reason::NotImplemented);
            for word in ["WebSocket", "/socket.io/", "api_websocket:5001"] {
                assert!(answer.text().contains(word), "{}", answer.text());
            }
        }
        assert!(dify.api.requests().is_empty());
        Ok(())
    })
}
