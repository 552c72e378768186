//! What a provider says against a key sends the call on to the next target, as another key would be taken there.

use anyhow::Result;
use serde_json::json;
use spillway_tests::{
    Chat, chat_request, message, run,
    standin::{Behaviour, Reply, chat_text},
    stream_request,
};

use crate::{Models, failover::assert_fallback};

fn faults() -> Vec<(&'static str, Behaviour)> {
    let limited = Reply::json(429, &json!({"error": {"message": "slow down"}}));
    vec![
        ("401", Behaviour::Error(401)),
        ("402", Behaviour::Error(402)),
        ("403", Behaviour::Error(403)),
        ("429", Behaviour::Error(429)),
        (
            "429 with Retry-After",
            Behaviour::Reply(limited.header("Retry-After", "3600")),
        ),
    ]
}

#[test]
fn a_call_in_one_piece_goes_on() -> Result<()> {
    run(async {
        for (what, behaviour) in faults() {
            let models = Models::start().await?;
            models.first.always(behaviour);
            let answer = models
                .post("/v1/chat/completions", &chat_request("both-a", "hi"))
                .await?;
            assert_fallback(&answer, what);
            assert_eq!(message(&answer.json()), chat_text("second-model", "hi"));
            let again = models
                .post("/v1/chat/completions", &chat_request("both-a", "again"))
                .await?;
            assert_eq!(again.status(), 200, "{what}: {}", again.text());
            let chats = models.first.requests_mentioning("again");
            assert!(chats.is_empty(), "{what}: the only key was used again");
        }
        Ok(())
    })
}

#[test]
fn a_stream_goes_on() -> Result<()> {
    run(async {
        for (what, behaviour) in faults() {
            let models = Models::start().await?;
            models.first.always(behaviour);
            let answer = models
                .post("/v1/chat/completions", &stream_request("both-a", "hi"))
                .await?;
            assert_fallback(&answer, what);
            let chat = Chat::read(&answer.text());
            assert!(chat.done && chat.error.is_none(), "{what}");
            assert_eq!(chat.text(), chat_text("second-model", "hi"));
        }
        Ok(())
    })
}
