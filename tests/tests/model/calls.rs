//! Calls that succeed.

use anyhow::Result;
use serde_json::{Value, json};
use spillway_tests::{
    Reason, attempts, chat_request,
    client::{Connection, End, Request},
    mark, message, model, provider, reason, run,
    standin::chat_text,
};

use crate::{FIRST_KEY, Models};

#[test]
fn a_chat_is_answered_with_and_without_v1() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        for path in ["/v1/chat/completions", "/chat/completions"] {
            let mark = mark();
            let answer = models.post(path, &chat_request("gpt-4o", &mark)).await?;
            assert_eq!(answer.status(), 200, "{}", answer.text());
            assert_eq!(
                answer.header("content-type").as_deref(),
                Some("application/json")
            );
            assert_eq!(message(&answer.json()), chat_text("first-large", &mark));
            let seen = models.first.wait_for_request(&mark).await?;
            assert_eq!(
                (seen.method.as_str(), seen.target.as_str()),
                ("POST", "/v1/chat/completions")
            );
        }
        Ok(())
    })
}

#[test]
fn the_answer_is_the_vendors_and_says_who_served() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let answer = models
            .post("/v1/chat/completions", &chat_request("gpt-4o", "hi"))
            .await?;
        let connection = Connection::open(models.first.address()).await?;
        let same = Request::json("/v1/chat/completions", &chat_request("first-large", "hi"))
            .bearer(FIRST_KEY);
        let direct = connection.call(&same).await?.finish().await?;
        assert_eq!(
            answer.text(),
            direct.text(),
            "the vendor's body goes through, its model name included"
        );
        assert_eq!(
            answer.header("content-length"),
            direct.header("content-length")
        );
        assert_eq!(provider(&answer.head).as_deref(), Some("first"));
        assert_eq!(model(&answer.head).as_deref(), Some("first-large"));
        assert_eq!(attempts(&answer.head).as_deref(), Some("1"));
        reason(&answer.head, Reason::Ok);
        Ok(())
    })
}

#[test]
fn a_stream_is_answered_with_and_without_v1() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        for path in ["/llm/v1/chat/completions", "/llm/chat/completions"] {
            let mark = mark();
            let body = spillway_tests::stream_request("gpt-4o", &mark);
            let answer = models.gateway.call(&Request::json(path, &body)).await?;
            let chat = spillway_tests::Chat::read(&answer.text());
            assert_eq!(chat.text(), chat_text("first-large", &mark));
            assert_eq!(chat.finish_reason(), Some("stop"));
            assert!(chat.done && chat.error.is_none());
            assert_eq!(answer.end, End::Clean);
            assert_eq!(provider(&answer.head).as_deref(), Some("first"));
            assert_eq!(model(&answer.head).as_deref(), Some("first-large"));
            assert_eq!(attempts(&answer.head).as_deref(), Some("1"));
            reason(&answer.head, Reason::Ok);
        }
        Ok(())
    })
}

#[test]
fn a_tool_call_passes_streamed_and_not() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let mut request = chat_request("gpt-4o", "what is the weather?");
        let tools = json!([{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]);
        request["tools"] = tools;
        let answer = models.post("/v1/chat/completions", &request).await?.json();
        assert_eq!(
            answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"],
            "weather"
        );
        request["stream"] = json!(true);
        let answer = models.post("/v1/chat/completions", &request).await?;
        let chat = spillway_tests::Chat::read(&answer.text());
        assert_eq!(chat.finish_reason(), Some("tool_calls"));
        let call = |chunk: &Value| chunk.pointer("/choices/0/delta/tool_calls/0").cloned();
        let calls: Vec<Value> = chat.chunks.iter().filter_map(call).collect();
        assert_eq!(calls[0]["id"], "call_1");
        let argument = |call: &Value| {
            call["function"]["arguments"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        assert_eq!(
            calls.iter().map(argument).collect::<String>(),
            "{\"city\":\"Bern\"}"
        );
        Ok(())
    })
}

#[test]
fn a_text_completion_is_answered_streamed_and_not() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        for path in ["/v1/completions", "/completions"] {
            let mark = mark();
            let expected = chat_text("first-large", &mark);
            let answer = models
                .post(path, &json!({"model": "gpt-4o", "prompt": mark}))
                .await?;
            assert_eq!(
                answer.json()["choices"][0]["text"],
                expected,
                "{}",
                answer.text()
            );
            let streamed = json!({"model": "gpt-4o", "prompt": mark, "stream": true});
            let answer = models.post(path, &streamed).await?;
            assert_eq!(spillway_tests::Chat::read(&answer.text()).text(), expected);
            let seen = models.first.requests_mentioning(&mark);
            assert!(
                seen.iter()
                    .all(|request| request.target == "/v1/completions"),
                "{seen:?}"
            );
        }
        Ok(())
    })
}

#[test]
fn embeddings_are_answered() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        for path in ["/v1/embeddings", "/embeddings"] {
            for (input, count) in [(json!("one"), 1), (json!(["one", "two", "three"]), 3)] {
                let answer = models
                    .post(path, &json!({"model": "own-embed", "input": input}))
                    .await?;
                assert_eq!(answer.status(), 200, "{}", answer.text());
                assert_eq!(answer.json()["data"].as_array().map(Vec::len), Some(count));
                assert!(answer.json()["usage"]["total_tokens"].is_u64());
                assert_eq!(provider(&answer.head).as_deref(), Some("first"));
            }
        }
        Ok(())
    })
}

#[test]
fn an_embedding_takes_the_second_target_when_the_first_is_dead() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let answer = models
            .post(
                "/v1/embeddings",
                &json!({"model": "dead-first-embed", "input": "x"}),
            )
            .await?;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(answer.json()["model"], "second-model");
        reason(&answer.head, Reason::Fallback);
        Ok(())
    })
}

#[test]
fn the_list_of_models_has_the_names_a_client_can_ask_for() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        for path in ["/llm/v1/models", "/llm/models"] {
            let answer = models.gateway.call(&Request::get(path)).await?;
            assert_eq!(answer.status(), 200, "{}", answer.text());
            let list = answer.json();
            assert_eq!(list["object"], "list");
            let entries = list["data"].as_array().cloned().unwrap_or_default();
            let names: Vec<&str> = entries
                .iter()
                .filter_map(|entry| entry["id"].as_str())
                .collect();
            for name in ["gpt-4o", "gpt-4o-mini"] {
                assert!(names.contains(&name), "{name} is not in {names:?}");
            }
            assert!(
                !names.iter().any(|name| name.contains('*')),
                "a pattern is no name: {names:?}"
            );
            assert!(
                entries.iter().all(|entry| entry["object"] == "model"),
                "{list}"
            );
        }
        Ok(())
    })
}

#[test]
fn several_keys_of_a_provider_are_used_in_turn() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let mark = mark();
        for _ in 0..20 {
            let answer = models
                .post("/v1/chat/completions", &chat_request("rotating-a", &mark))
                .await?;
            assert_eq!(answer.status(), 200, "{}", answer.text());
        }
        let seen = models.second.requests_mentioning(&mark);
        let mut keys: Vec<String> = seen
            .iter()
            .filter_map(|request| request.header("authorization"))
            .collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 2, "only {keys:?} was used");
        Ok(())
    })
}

#[test]
fn one_connection_takes_many_calls() -> Result<()> {
    run(async {
        let models = Models::shared().await?;
        let mut connection = models.gateway.connect().await?;
        for number in 0..20 {
            let body = if number % 2 == 0 {
                chat_request("gpt-4o", "hi")
            } else {
                spillway_tests::stream_request("gpt-4o", "hi")
            };
            let incoming = connection
                .call(&Request::json("/llm/v1/chat/completions", &body))
                .await?;
            let (answer, kept) = incoming.finish_and_keep().await?;
            assert_eq!(
                (answer.status(), answer.end),
                (200, End::Clean),
                "call {number}"
            );
            connection = kept;
        }
        Ok(())
    })
}
