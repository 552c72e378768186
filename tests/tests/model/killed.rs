//! A model that is killed while calls come.

use std::sync::Arc;

use anyhow::Result;
use spillway_tests::{chat_request, provider, run, standin::chat_text, until};

use crate::Models;

#[test]
fn a_model_killed_in_a_loop_of_200_calls_costs_no_answer() -> Result<()> {
    run(async {
        let models = Models::start().await?;
        let mut served = (0, 0);
        for number in 0..200 {
            if number == 100 {
                models.first.kill().await;
            }
            let answer = models
                .post("/v1/chat/completions", &chat_request("both-a", "hi"))
                .await?;
            assert_eq!(answer.status(), 200, "call {number}: {}", answer.text());
            match provider(&answer.head).as_deref() {
                Some("first") => served.0 += 1,
                _ => served.1 += 1,
            }
        }
        assert_eq!(served, (100, 100));
        models.first.restart()?;
        until("it is used again once it is back", async || {
            let answer = models
                .post("/v1/chat/completions", &chat_request("both-a", "hi"))
                .await?;
            assert_eq!(answer.status(), 200, "{}", answer.text());
            Ok((provider(&answer.head).as_deref() == Some("first")).then_some(()))
        })
        .await
    })
}

#[test]
fn a_model_killed_under_concurrent_calls_costs_no_answer() -> Result<()> {
    run(async {
        let models = Arc::new(Models::start().await?);
        let (send, mut receive) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..8 {
            let (models, send) = (Arc::clone(&models), send.clone());
            tokio::spawn(async move {
                for _ in 0..25 {
                    let answer = models
                        .post("/v1/chat/completions", &chat_request("both-a", "hi"))
                        .await;
                    let _ = send.send(answer);
                }
            });
        }
        drop(send);
        let mut answers = 0;
        while let Some(answer) = receive.recv().await {
            let answer = answer?;
            assert_eq!(answer.status(), 200, "answer {answers}: {}", answer.text());
            answers += 1;
            if answers == 80 {
                models.first.kill().await;
            }
        }
        assert_eq!(answers, 200);
        Ok(())
    })
}

#[test]
fn a_model_killed_between_streams_costs_no_answer() -> Result<()> {
    run(async {
        let models = Models::start().await?;
        for number in 0..60 {
            if number == 30 {
                models.first.kill().await;
            }
            let (answer, chat) = models.stream("both-a", "hi").await?;
            let expected = if number < 30 { "first" } else { "second" };
            assert_eq!(
                provider(&answer.head).as_deref(),
                Some(expected),
                "stream {number}"
            );
            assert_eq!(
                chat.text(),
                chat_text(&format!("{expected}-model"), "hi"),
                "stream {number}"
            );
            assert!(chat.done, "stream {number}");
        }
        Ok(())
    })
}
