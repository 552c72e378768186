//! A provider that dies under many streams at once.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use spillway_tests::{
    Chat, Gateway,
    client::{Incoming, Request, Response},
    message, run,
    standin::{Behaviour, EventStream, Gate, StandinModel, Wait, chat_text},
};
use tokio::task::JoinSet;

use crate::{chat, start, stream};

/// As many as the issue names.
const CALLS: usize = 64;

const YAML: &str = r#"
models:
  - name: llm
    routes:
      - match: { model: ["chatty-*"] }
        targets: [{ provider: first, model: first-model }, { provider: second, model: second-model }]
        fallback: { keep_alive: 100ms }
      - targets: [{ provider: first, model: first-model }, { provider: second, model: second-model }]
providers:
  - { name: first, base_url: "$first" }
  - { name: second, base_url: "$second" }
"#;

struct Two {
    gateway: Arc<Gateway>,
    first: StandinModel,
    second: StandinModel,
}

impl Two {
    async fn start() -> Result<Self> {
        let (first, second) = (
            StandinModel::start("first")?,
            StandinModel::start("second")?,
        );
        let gateway = start(YAML, &[("first", &first), ("second", &second)]).await?;
        Ok(Self {
            gateway: Arc::new(gateway),
            first,
            second,
        })
    }

    /// Sends all of them at once.
    fn send(&self, requests: Vec<Request>) -> JoinSet<Result<Response>> {
        let mut calls = JoinSet::new();
        for request in requests {
            let gateway = Arc::clone(&self.gateway);
            calls.spawn(async move { gateway.call(&request).await });
        }
        calls
    }
}

/// Ways to have said nothing yet.
fn silences(never: &Gate) -> [Behaviour; 3] {
    let waits = |event| {
        let wait = Wait::Release(never.clone());
        Behaviour::Stream(EventStream::new().wait_before(event, wait))
    };
    [Behaviour::Silent, waits(0), waits(1)]
}

/// Begins a stream and reads its first content.
async fn begun(two: &Two, never: &Gate) -> Result<Incoming> {
    let shape = EventStream::new().wait_before(4, Wait::Release(never.clone()));
    two.first.next(Behaviour::Stream(shape));
    let mut incoming = two.gateway.begin(&stream("m", "begun")).await?;
    loop {
        let block = incoming.next_block().await?.context("the stream ended")?;
        if block.contains("first-model ") {
            return Ok(incoming);
        }
    }
}

#[test]
fn streams_that_had_not_begun_move_on_and_those_that_had_end_with_an_error() -> Result<()> {
    run(async {
        let (two, never) = (Two::start().await?, Gate::new());
        let mut begun_ones = Vec::new();
        for _ in 0..8 {
            begun_ones.push(begun(&two, &never).await?);
        }
        for number in 0..CALLS {
            let [head, event, content] = silences(&never);
            two.first.next(match number % 3 {
                0 => head,
                1 => event,
                _ => content,
            });
        }
        let mut calls = two.send(vec![stream("m", "hi"); CALLS]);
        two.first.wait_for_requests(8 + CALLS).await?;
        two.first.kill().await;
        while let Some(answer) = calls.join_next().await {
            let answer = answer??;
            ensure!(answer.status() == 200, "{}", answer.text());
            let chat = Chat::read(&answer.text());
            assert!(chat.done && chat.error.is_none(), "{}", answer.text());
            assert_eq!(chat.text(), chat_text("second-model", "hi"));
        }
        for incoming in begun_ones {
            let answer = incoming.finish().await?;
            let chat = Chat::read(&answer.text());
            assert!(chat.error.is_some() && !chat.done, "{}", answer.text());
        }
        assert_eq!(two.second.requests().len(), CALLS);
        Ok(())
    })
}

#[test]
fn calls_in_one_piece_move_on_as_well() -> Result<()> {
    run(async {
        let two = Two::start().await?;
        two.first.always(Behaviour::Silent);
        let mut calls = two.send(vec![chat("m", "hi"); CALLS]);
        two.first.wait_for_requests(CALLS).await?;
        two.first.kill().await;
        while let Some(answer) = calls.join_next().await {
            let answer = answer??;
            ensure!(answer.status() == 200, "{}", answer.text());
            assert_eq!(message(&answer.json()), chat_text("second-model", "hi"));
        }
        Ok(())
    })
}

/// Their heads are out, so that one instance may hold all of them.
#[test]
fn streams_kept_waiting_by_comments_move_on_as_well() -> Result<()> {
    run(async {
        let two = Two::start().await?;
        two.first.always(Behaviour::Silent);
        let mut waiting = Vec::new();
        for _ in 0..CALLS {
            let mut incoming = two.gateway.begin(&stream("chatty-m", "hi")).await?;
            let block = incoming.next_block().await?.context("the stream ended")?;
            assert!(block.starts_with(':'), "{block:?} is no comment");
            waiting.push(incoming);
        }
        two.first.kill().await;
        let mut broken = Vec::new();
        for incoming in waiting {
            let answer = incoming.finish().await?;
            let chat = Chat::read(&answer.text());
            if !chat.done || chat.text() != chat_text("second-model", "hi") {
                broken.push(answer.text());
            }
        }
        assert!(
            broken.is_empty(),
            "{} of {CALLS} were lost, such as {:?}",
            broken.len(),
            broken.first()
        );
        Ok(())
    })
}
