//! Event streams: byte for byte, and each event as soon as it is there.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use spillway_tests::{
    client::{Connection, End, Request},
    mark, run,
    standin::{Behaviour, Cut, EventStream, Gate, LineEnd, Step, Wait},
};

use crate::Ingress;

fn chat(mark: &str) -> Request {
    let body = json!({"inputs": {}, "query": mark, "response_mode": "streaming", "user": "u"});
    Request::json("/v1/chat-messages", &body).bearer("app-1")
}

#[test]
fn the_bytes_are_those_of_the_service() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        let new = EventStream::new;
        for shape in [
            new(),
            new().line_end(LineEnd::CrLf),
            new().comment_lines().event_lines().id_lines().retry_block(),
            new().byte_order_mark().no_space(),
            new().cut(Cut::Bytes),
            new().cut(Cut::Characters),
            new().error_after(2),
            new().huge(1 << 20),
            new().until_close(),
        ] {
            let mark = mark();
            ingress
                .dify
                .api
                .when(&mark, Behaviour::Stream(shape.clone()));
            let through = ingress.call(&chat(&mark)).await?;
            let connection = Connection::open(ingress.dify.api.address()).await?;
            let direct = connection.call(&chat(&mark)).await?.finish().await?;
            assert_eq!(through.status(), 200, "{shape:?}");
            assert_eq!(through.end, End::Clean, "{shape:?}");
            assert!(
                through.body == direct.body,
                "{shape:?}: {} is not {}",
                through.text(),
                direct.text()
            );
            assert_eq!(
                through.header("content-type"),
                direct.header("content-type")
            );
        }
        Ok(())
    })
}

#[test]
fn each_event_comes_before_the_next_one_is_written() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        for path in [
            "/v1/chat-messages",
            "/v1/workflows/run",
            "/api/chat-messages",
        ] {
            let (mark, gate) = (mark(), Gate::new());
            ingress
                .dify
                .api
                .when(&mark, Behaviour::Stream(EventStream::new().gated(&gate)));
            let mut request = chat(&mark);
            request.target = path.to_owned();
            gate.release();
            let mut incoming = ingress.gateway.begin(&request).await?;
            let mut events = 0;
            while let Some(block) = incoming.next_block().await? {
                assert!(
                    block.starts_with("data: {") || block == "event: ping",
                    "{block:?}"
                );
                events += 1;
                gate.release();
            }
            assert_eq!(incoming.end(), Some(&End::Clean));
            assert!(events > 5, "{path}: only {events} events");
        }
        Ok(())
    })
}

#[test]
fn a_stream_that_is_asked_for_with_get_comes_as_well() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        let target = "/v1/workflow/c3800678/events?user=u&include_state_snapshot=true";
        let answer = ingress.call(&Request::get(target).bearer("app-1")).await?;
        assert!(
            answer.text().contains("workflow_finished"),
            "{}",
            answer.text()
        );
        Ok(())
    })
}

#[test]
fn half_an_event_comes_as_it_is() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        let (mark, gate) = (mark(), Gate::new());
        let steps = vec![
            Step::text(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
            ),
            Step::text("7\r\ndata: {\r\n"),
            Step::release(&gate),
            Step::text("3\r\n}\n\n\r\n0\r\n\r\n"),
        ];
        ingress.dify.api.when(&mark, Behaviour::Raw(steps));
        let mut incoming = ingress.gateway.begin(&chat(&mark)).await?;
        // Bytes do not wait for the end of an event, in however many pieces they come.
        let mut come = Vec::new();
        while come.len() < "data: {".len() {
            come.extend(incoming.next_piece().await?.context("too little came")?);
        }
        assert_eq!(come, b"data: {");
        gate.release();
        assert_eq!(incoming.finish().await?.text(), "data: {}\n\n");
        Ok(())
    })
}

#[test]
fn many_streams_run_at_once_and_none_waits_for_another() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        let (mut streams, mut gates) = (Vec::new(), Vec::new());
        for _ in 0..40 {
            let (mark, gate) = (mark(), Gate::new());
            ingress
                .dify
                .api
                .when(&mark, Behaviour::Stream(EventStream::new().gated(&gate)));
            gate.release();
            let mut incoming = ingress.gateway.begin(&chat(&mark)).await?;
            assert!(incoming.next_block().await?.is_some());
            streams.push(incoming);
            gates.push(gate);
        }
        assert_eq!(ingress.call(&Request::get("/api/x")).await?.status(), 200);
        gates.iter().for_each(Gate::open);
        for stream in streams {
            let answer = stream.finish().await?;
            assert_eq!(answer.end, End::Clean);
            assert!(answer.text().contains("message_end"), "{}", answer.text());
        }
        Ok(())
    })
}

#[test]
fn of_200_streams_that_are_open_at_once_none_is_dropped_or_changed() -> Result<()> {
    run(async {
        const STREAMS: usize = 200;
        let ingress = Ingress::plain("").await?;
        let question = chat("hi");
        let direct = Connection::open(ingress.dify.api.address()).await?;
        let direct = direct.call(&question).await?.finish().await?;
        let rest = Gate::new();
        let shape = EventStream::new().wait_before(1, Wait::Release(rest.clone()));
        ingress.dify.api.always(Behaviour::Stream(shape));
        let mut streams = Vec::new();
        for _ in 0..STREAMS {
            let mut incoming = ingress.gateway.begin(&question).await?;
            let piece = incoming.next_piece().await?.context("no first event")?;
            assert!(direct.body.starts_with(&piece), "{piece:?}");
            streams.push(incoming);
        }
        // All of them are open now, and none has ended.
        assert!(streams.iter().all(|stream| stream.end().is_none()));
        rest.open();
        let reading: Vec<_> = streams
            .into_iter()
            .map(|stream| tokio::spawn(stream.finish()))
            .collect();
        for (number, answer) in reading.into_iter().enumerate() {
            let answer = answer.await??;
            assert_eq!(answer.end, End::Clean, "stream {number}");
            assert!(
                answer.body == direct.body,
                "stream {number}: {}",
                answer.text()
            );
        }
        Ok(())
    })
}

#[test]
fn a_client_that_leaves_ends_the_run_upstream() -> Result<()> {
    run(async {
        let ingress = Ingress::plain("").await?;
        let shape = EventStream::new()
            .long(100_000)
            .gap(Duration::from_millis(5));
        ingress.dify.api.always(Behaviour::Stream(shape));
        let mut incoming = ingress.gateway.begin(&chat("hi")).await?;
        assert!(incoming.next_block().await?.is_some());
        drop(incoming);
        ingress.dify.api.wait_for_disconnects(1).await?;
        Ok(())
    })
}
