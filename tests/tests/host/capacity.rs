//! More than the host can hold: whoever asks for it is refused in plain words, and everybody else is served.

use anyhow::Result;
use serde_json::json;
use spillway_tests::{
    Gateway, Options, assert_dify_error, assert_openai_error, chat_request,
    client::{Incoming, Request},
    embedded_only, mark, run,
    standin::{Behaviour, EventStream, Gate, Reply, StandinDify, StandinModel},
    stream_request, until,
};

fn yaml(dify: &StandinDify, vendor: &StandinModel) -> String {
    format!(
        r#"
agents:
  - name: dify
    services: {{ api: "{}" }}
models:
  - name: llm
    routes: [{{ targets: [{{ provider: vendor }}] }}]
providers:
  - {{ name: vendor, base_url: "{}" }}
"#,
        dify.api.url(),
        vendor.base_url()
    )
}

const HEALTH: &str = "/_gateway/health/live";

/// Every stream pins the instance that it is in, and two calls after it use that instance up: after eight the pool was
/// full and every request an empty 500.
#[test]
fn open_streams_and_short_calls_leave_room_for_everybody() -> Result<()> {
    if !embedded_only("how instances are replaced is the host's own") {
        return Ok(());
    }
    run(async {
        let (dify, vendor) = (StandinDify::start()?, StandinModel::start("vendor")?);
        let options = Options::default()
            .environment("SPIN_MAX_INSTANCE_COUNT", "8")
            .arguments(&["--max-instance-reuse-count", "3"]);
        let gateway = Gateway::start(&yaml(&dify, &vendor), options).await?;
        let mut gates = Vec::new();
        let mut streams: Vec<Incoming> = Vec::new();
        for number in 0..24 {
            let (mark, gate) = (mark(), Gate::new());
            (0..3).for_each(|_| gate.release());
            vendor.when(&mark, Behaviour::Stream(EventStream::new().gated(&gate)));
            gates.push(gate);
            let chat = Request::json("/llm/v1/chat/completions", &stream_request("m", &mark));
            let mut begun = gateway.begin(&chat).await?;
            assert_eq!(begun.status(), 200, "stream {number}");
            assert!(begun.next_block().await?.is_some());
            streams.push(begun);
            for _ in 0..3 {
                let unknown = gateway.call(&Request::get("/llm/v1/nothing")).await?;
                assert_openai_error(&unknown, 404);
                assert_eq!(gateway.call(&Request::get("/api/x")).await?.status(), 200);
                assert_eq!(gateway.call(&Request::get(HEALTH)).await?.status(), 200);
            }
        }
        for (stream, gate) in streams.into_iter().zip(gates) {
            gate.open();
            assert!(stream.finish().await?.text().ends_with("data: [DONE]\n\n"));
        }
        Ok(())
    })
}

/// Uploads that never come hold an instance's place each; where all are held, the others wait a little and are told.
#[test]
fn where_nothing_is_left_the_answer_is_503_in_the_routes_own_form() -> Result<()> {
    if !embedded_only("it is the embedded host's own answer") {
        return Ok(());
    }
    run(async {
        let (dify, vendor) = (StandinDify::start()?, StandinModel::start("vendor")?);
        let options = Options::default()
            .environment("SPIN_MAX_INSTANCE_COUNT", "8")
            .arguments(&["--max-instance-concurrent-reuse-count", "1"])
            .arguments(&["--min-upload-rate", "0"]);
        let gateway = Gateway::start(&yaml(&dify, &vendor), options).await?;
        // Of eight places each of the four components has one of its own: five are the model's.
        let mut held = Vec::new();
        for _ in 0..6 {
            let mut connection = gateway.connect().await?;
            connection
                .write(b"POST /llm/v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Length: 100\r\n\r\n{")
                .await?;
            held.push(connection);
        }
        let refused = until("the uploads to hold all places", async || {
            let asked = gateway.call(&Request::get("/llm/v1/models")).await?;
            Ok((asked.status() != 200).then_some(asked))
        })
        .await?;
        assert_openai_error(&refused, 503);
        assert_eq!(refused.header("retry-after").as_deref(), Some("1"));
        assert_eq!(gateway.call(&Request::get(HEALTH)).await?.status(), 200);
        assert_eq!(gateway.call(&Request::get("/api/x")).await?.status(), 200);
        held.clear();
        until("places to be free again", async || {
            let asked = gateway.call(&Request::get("/llm/v1/models")).await?;
            Ok((asked.status() == 200).then_some(()))
        })
        .await
    })
}

#[test]
fn a_body_that_hardly_comes_is_given_up() -> Result<()> {
    if !embedded_only("Spin waits as long as the component does") {
        return Ok(());
    }
    run(async {
        let (dify, vendor) = (StandinDify::start()?, StandinModel::start("vendor")?);
        let gateway = Gateway::start(&yaml(&dify, &vendor), Options::default()).await?;
        for target in ["/llm/v1/chat/completions", "/v1/files/upload"] {
            let mut connection = gateway.connect().await?;
            let head =
                format!("POST {target} HTTP/1.1\r\nHost: g\r\nContent-Length: 100000\r\n\r\nx");
            connection.write(head.as_bytes()).await?;
            let answer = connection.answer("POST").await?.finish().await?;
            if target.starts_with("/llm") {
                assert_openai_error(&answer, 408);
            } else {
                assert_dify_error(&answer, 408);
            }
        }
        Ok(())
    })
}

#[test]
fn one_client_holds_its_share_of_connections() -> Result<()> {
    if !embedded_only("Spin counts no connections") {
        return Ok(());
    }
    run(async {
        let (dify, vendor) = (StandinDify::start()?, StandinModel::start("vendor")?);
        let options = Options::default().arguments(&["--max-connections-per-client", "3"]);
        let gateway = Gateway::start(&yaml(&dify, &vendor), options).await?;
        let mut held = Vec::new();
        for _ in 0..3 {
            // That of the start's last question may not be free yet.
            let connection = until("a place", async || {
                let mut connection = gateway.connect().await?;
                connection.send(&Request::get("/api/x")).await?;
                Ok(connection.answer("GET").await.ok())
            })
            .await?;
            held.push(connection);
        }
        assert!(gateway.call(&Request::get("/api/x")).await.is_err());
        assert!(gateway.log().contains("--max-connections-per-client"));
        held.clear();
        until("the places to be free again", async || {
            Ok(gateway.call(&Request::get("/api/x")).await.ok())
        })
        .await?;

        let trusting = format!("trusted_proxies: [127.0.0.0/8]\n{}", yaml(&dify, &vendor));
        let options = Options::default().arguments(&["--max-connections-per-client", "3"]);
        let gateway = Gateway::start(&trusting, options).await?;
        let mut more = Vec::new();
        for _ in 0..9 {
            more.push(gateway.connect().await?);
        }
        assert_eq!(gateway.call(&Request::get("/api/x")).await?.status(), 200);
        Ok(())
    })
}

#[test]
fn beyond_the_memory_budget_no_body_is_read() -> Result<()> {
    if !embedded_only("Spin has no budget") {
        return Ok(());
    }
    run(async {
        let (dify, vendor) = (StandinDify::start()?, StandinModel::start("vendor")?);
        // Less than one instance holds.
        let options = Options::default().arguments(&["--memory-budget", "64KiB"]);
        let gateway = Gateway::start(&yaml(&dify, &vendor), options).await?;
        let large = "x".repeat(80 * 1024);
        let chat = json!({"model": "m", "messages": [], "user": large});
        assert_eq!(
            gateway
                .call(&Request::get("/llm/v1/models"))
                .await?
                .status(),
            200
        );
        let refused = gateway
            .call(&Request::json("/llm/v1/chat/completions", &chat))
            .await?;
        assert_openai_error(&refused, 503);
        assert_eq!(refused.header("retry-after").as_deref(), Some("1"));
        assert!(vendor.requests().is_empty());
        assert_eq!(gateway.call(&Request::get("/api/x")).await?.status(), 200);
        let run = json!({"query": large, "user": "u"});
        let refused = gateway
            .call(&Request::json("/v1/chat-messages", &run))
            .await?;
        assert_dify_error(&refused, 503);
        let small = json!({"model": "m", "messages": []});
        let served = gateway
            .call(&Request::json("/llm/v1/chat/completions", &small))
            .await?;
        assert_eq!(served.status(), 200, "{}", served.text());
        Ok(())
    })
}

/// What instances hold of answers counts as well, in all of them together.
#[test]
fn beyond_the_memory_budget_no_large_answer_is_held() -> Result<()> {
    if !embedded_only("Spin has no budget") {
        return Ok(());
    }
    run(async {
        let (dify, vendor) = (StandinDify::start()?, StandinModel::start("vendor")?);
        for (budget, expected) in [("64KiB", 503), ("4GiB", 200)] {
            let options = Options::default().arguments(&["--memory-budget", budget]);
            let gateway = Gateway::start(&yaml(&dify, &vendor), options).await?;
            let filler = " ".repeat(1024 * 1024);
            let text =
                format!(r#"{{"choices":[{{"index":0,"message":{{"content":"ok"}}}}]}}{filler}"#);
            let large = mark();
            vendor.when(
                &large,
                Behaviour::Reply(
                    Reply::new(200)
                        .header("Content-Type", "application/json")
                        .body(text),
                ),
            );
            let asked = Request::json("/llm/v1/chat/completions", &chat_request("m", &large));
            let answer = gateway.call(&asked).await?;
            if expected == 200 {
                assert_eq!(answer.status(), 200, "{}", answer.text());
            } else {
                assert_openai_error(&answer, 503);
                assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
                assert_eq!(
                    answer.header("x-gateway-reason").as_deref(),
                    Some("overloaded")
                );
            }
            let small = Request::json("/llm/v1/chat/completions", &chat_request("m", &mark()));
            assert_eq!(gateway.call(&small).await?.status(), 200);
        }
        Ok(())
    })
}
