//! Clients that leave, and clients that read slowly.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use spillway_tests::{
    Gateway,
    client::{End, Request},
    mannerly_only,
    metrics::{self, REQUESTS},
    run,
    standin::{Behaviour, EventStream, Gate, Reply, StandinModel, Wait},
    until,
};

use crate::{served, start, stream};

const YAML: &str = r#"
models:
  - name: llm
    routes:
      - name: calls
        targets: [{ provider: vendor }]
        fallback: { keep_alive: 100ms }
providers:
  - { name: vendor, base_url: "$vendor" }
"#;

async fn wait_for_left(gateway: &Gateway, count: f64) -> Result<()> {
    until("the client that left is counted", async || {
        let page = gateway.call(&Request::get("/_gateway/metrics")).await?;
        let samples = metrics::parse(&page.text()).map_err(anyhow::Error::msg)?;
        let left = [("api", "model"), ("name", "llm"), ("reason", "client_left")];
        Ok((metrics::total(&samples, REQUESTS, &left) == count).then_some(()))
    })
    .await?;
    let log = gateway.log();
    assert!(log.contains("reason=client_left"), "{log}");
    Ok(())
}

#[test]
fn a_client_that_leaves_stops_the_upstream_and_is_counted() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let gateway = start(YAML, &[("vendor", &vendor)]).await?;
        let long = EventStream::new()
            .long(100_000)
            .gap(Duration::from_millis(5));
        vendor.next(Behaviour::Stream(long));
        let mut incoming = gateway.begin(&stream("m", "in mid-stream")).await?;
        for _ in 0..3 {
            incoming.next_block().await?.context("the stream ended")?;
        }
        drop(incoming);
        vendor.wait_for_disconnects(1).await?;
        wait_for_left(&gateway, 1.0).await?;

        let waiting = EventStream::new().wait_before(1, Wait::Release(Gate::new()));
        vendor.next(Behaviour::Stream(waiting));
        let mut incoming = gateway.begin(&stream("m", "before content")).await?;
        incoming.next_block().await?.context("the stream ended")?;
        drop(incoming);
        vendor.wait_for_disconnects(2).await?;
        wait_for_left(&gateway, 2.0).await?;
        // Nobody was at fault.
        served(&gateway, "m", "afterwards").await?;
        assert!(!gateway.log().contains("provider vendor:"));
        Ok(())
    })
}

/// What the vendor pushes.
const LARGE: usize = PIECES * PIECE;
/// In so many pieces of text, each of so many bytes.
const PIECES: usize = 4096;
const PIECE: usize = 16 * 1024;

/// A stream of so many bytes of text.
fn large() -> Behaviour {
    let text = "x".repeat(PIECE);
    let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]});
    let last = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let mut body = format!("data: {chunk}\n\n").repeat(PIECES);
    body.push_str(&format!("data: {last}\n\ndata: [DONE]\n\n"));
    let reply = Reply::new(200).header("Content-Type", "text/event-stream");
    Behaviour::Reply(reply.body(body).chunked(64 * 1024))
}

#[test]
fn a_slow_reader_costs_no_memory() -> Result<()> {
    if !mannerly_only("memory is measured where instances are not replaced all the time") {
        return Ok(());
    }
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let gateway = start(YAML, &[("vendor", &vendor)]).await?;
        served(&gateway, "m", "warm").await?;
        vendor.always(large());
        let mut slow = gateway.begin(&stream("m", "slow")).await?;
        let first = slow.next_block().await?.context("the stream ended")?;
        let before = gateway.peak_memory()?;
        // Meanwhile somebody else gets all of it: so long the slow one's could have been pushed, too.
        let fast = gateway.call(&stream("m", "fast")).await?;
        assert!(fast.body.len() > LARGE && fast.end == End::Clean);
        let grown = gateway.peak_memory()?.saturating_sub(before);
        assert!(
            grown < 24 * 1024 * 1024,
            "{} MiB more for a client that does not read",
            grown / 1024 / 1024
        );
        // Where the machine is busy there are comments between them, and before them.
        let mut blocks = usize::from(first.starts_with("data:"));
        while let Some(block) = slow.next_block().await? {
            blocks += usize::from(block.starts_with("data:"));
            if block == "data: [DONE]" {
                break;
            }
        }
        assert_eq!(blocks, PIECES + 2, "nothing is lost");
        Ok(())
    })
}
