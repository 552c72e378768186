//! What a client library would make of a provider without the gateway it makes of it through the gateway.

use anyhow::Result;
use serde_json::{Value, json};
use spillway_tests::{
    Gateway, assert_openai_error, attempts,
    client::Request,
    mark, provider, run,
    standin::{Behaviour, Reply, StandinModel, Step},
};

use crate::{calls, chat, seeing::line_of, served, start, stream};

const TWO: &str = r#"
models:
  - name: llm
    routes:
      - name: vectors
        match: { path: /v1/embeddings }
        targets: [{ provider: first, model: e-1 }, { provider: second, model: e-2 }]
      - targets: [{ provider: first }, { provider: second, model: mapped }]
providers:
  - { name: first, base_url: "$first", api_keys: [sk-first-1, sk-first-2] }
  - { name: second, base_url: "$second" }
"#;

async fn two() -> Result<(Gateway, StandinModel, StandinModel)> {
    let first = StandinModel::start("first")?;
    let second = StandinModel::start("second")?;
    let gateway = start(TWO, &[("first", &first), ("second", &second)]).await?;
    Ok((gateway, first, second))
}

fn event_stream(events: &str) -> Behaviour {
    Behaviour::Raw(vec![
        Step::text(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n{events}"
        )),
        Step::Close,
    ])
}

#[test]
fn requests_have_the_gateways_name_and_the_providers_beside_it() -> Result<()> {
    run(async {
        let (gateway, first, _second) = two().await?;
        let ours = |answer: &spillway_tests::client::Response| answer.header("x-request-id");
        let theirs = |answer: &spillway_tests::client::Response| {
            answer.header("x-gateway-upstream-request-id")
        };
        let body = json!({"id": "1", "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}]});
        for (status, body) in [(200, body), (400, json!({"error": {"message": "m"}}))] {
            let reply = Reply::json(status, &body).header("X-Request-Id", "theirs-1");
            first.always(Behaviour::Reply(reply));
            for request in [chat("m", "hi"), stream("m", "hi")] {
                let id = mark();
                let answer = gateway.call(&request.header("x-request-id", &id)).await?;
                assert_eq!(ours(&answer), Some(id.clone()));
                assert_eq!(theirs(&answer).as_deref(), Some("theirs-1"));
                let line = line_of(&gateway, &id).await?;
                assert!(line.contains(&format!("status={status}")), "{line}");
            }
        }
        // The gateway's own answers, and without a name of the client's.
        for request in [
            Request::get("/llm/v1/models"),
            Request::get("/llm/v1/nothing"),
            Request::json("/llm/v1/chat/completions", &json!({})),
        ] {
            let answer = gateway.call(&request).await?;
            assert_eq!(
                ours(&answer).map(|id| id.len()),
                Some(32),
                "{}",
                answer.text()
            );
        }
        Ok(())
    })
}

#[test]
fn an_embedding_never_comes_from_another_model_unless_the_route_says_so() -> Result<()> {
    run(async {
        let (gateway, first, second) = two().await?;
        first.always(Behaviour::Error(500));
        let embed = || Request::json("/llm/v1/embeddings", &json!({"model": "e", "input": "x"}));
        let answer = gateway.call(&embed()).await?;
        assert_openai_error(&answer, 500);
        assert!(calls(&second).is_empty());
        // A chat goes on.
        let answer = served(&gateway, "m", "hi").await?;
        assert_eq!(provider(&answer.head).as_deref(), Some("second"));

        let yaml = TWO.replace(
            "model: e-2 }]",
            "model: e-2 }]\n        fallback: { embeddings_across_models: true }",
        );
        let gateway = start(&yaml, &[("first", &first), ("second", &second)]).await?;
        let answer = gateway.call(&embed()).await?;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(provider(&answer.head).as_deref(), Some("second"));
        Ok(())
    })
}

#[test]
fn the_list_of_models_names_what_can_be_asked_for() -> Result<()> {
    run(async {
        let (gateway, _first, _second) = two().await?;
        let answer = gateway.call(&Request::get("/llm/v1/models")).await?;
        let listed: Vec<Value> = answer.json()["data"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let names: Vec<&str> = listed.iter().filter_map(|one| one["id"].as_str()).collect();
        // `mapped` would go to the first target as `mapped`; `e-2` to it as `e-1`.
        assert_eq!(names, ["e-1"]);
        Ok(())
    })
}

#[test]
fn a_response_goes_on_to_the_next_target_unless_it_refers_to_something_stored() -> Result<()> {
    run(async {
        let (gateway, first, second) = two().await?;
        let reply = json!({"id": "resp-1", "object": "response", "output": []});
        second.always(Behaviour::Reply(Reply::json(200, &reply)));
        let respond = |more: Value| {
            let mut body = json!({"model": "m", "input": mark()});
            if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
                body.extend(more);
            }
            Request::json("/llm/v1/responses", &body)
        };
        for failure in [
            Behaviour::Error(500),
            Behaviour::Reset,
            Behaviour::Error(401),
        ] {
            first.always(failure);
            let answer = gateway.call(&respond(json!({}))).await?;
            assert_eq!(answer.status(), 200, "{}", answer.text());
            assert_eq!(provider(&answer.head).as_deref(), Some("second"));
            assert_eq!(answer.json()["id"], "resp-1");
            assert_eq!(
                answer.header("x-gateway-reason").as_deref(),
                Some("fallback")
            );
        }
        let seen = calls(&second).len();
        for bound in [
            json!({"previous_response_id": "resp-0"}),
            json!({"conversation": "conv-1"}),
            json!({"background": true}),
            json!({"input": [{"type": "item_reference", "id": "x"}]}),
            json!({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}),
        ] {
            first.always(Behaviour::Error(500));
            let answer = gateway.call(&respond(bound)).await?;
            assert_openai_error(&answer, 500);
            assert_eq!(attempts(&answer.head).as_deref(), Some("1"));
        }
        assert_eq!(calls(&second).len(), seen);
        // What is wrong with the request itself leads nowhere else.
        first.always(Behaviour::Error(400));
        let answer = gateway.call(&respond(json!({}))).await?;
        assert_openai_error(&answer, 400);
        Ok(())
    })
}

#[test]
fn a_backup_that_recovered_is_asked_although_it_is_ejected() -> Result<()> {
    run(async {
        let (gateway, first, second) = two().await?;
        first.always(Behaviour::Error(500));
        second.always(Behaviour::Error(500));
        // Until both are ejected.
        for _ in 0..12 {
            let answer = gateway.call(&chat("m", "hi")).await?;
            assert!(answer.status() >= 500, "{}", answer.text());
        }
        second.always(Behaviour::Normal);
        // Calls take turns where all are ejected; whoever serves is asked by all again.
        let (one, two) = (chat("m", "hi"), chat("m", "hi"));
        let statuses = [
            gateway.call(&one).await?.status(),
            gateway.call(&two).await?.status(),
        ];
        assert!(statuses.contains(&200), "{statuses:?}");
        let answer = served(&gateway, "m", "hi").await?;
        assert_eq!(provider(&answer.head).as_deref(), Some("second"));
        Ok(())
    })
}

#[test]
fn a_dead_key_that_shows_as_a_400_costs_no_call_while_another_is_good() -> Result<()> {
    run(async {
        for dead in [
            json!([{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT"}}]),
            json!({"error": {"code": 400, "message": "API key expired. Please renew the API key.", "status": "INVALID_ARGUMENT",
                "details": [{"reason": "API_KEY_INVALID"}]}}),
            json!({"code": "invalid-argument", "error": "Incorrect API key provided: xa***jU."}),
            json!({"code": "Arrearage", "message": "Access denied, please make sure your account is in good standing."}),
            json!({"type": "error", "error": {"type": "invalid_request_error", "message": "Your credit balance is too low to access the Anthropic API."}}),
        ] {
            let (gateway, first, second) = two().await?;
            first.when("sk-first-1", Behaviour::Reply(Reply::json(400, &dead)));
            for _ in 0..8 {
                let answer = served(&gateway, "m", "hi").await?;
                assert_eq!(provider(&answer.head).as_deref(), Some("first"), "{dead}");
            }
            assert!(calls(&second).is_empty());
        }
        Ok(())
    })
}

#[test]
fn what_went_wrong_reaches_the_client_in_the_providers_words_and_the_stream_is_cut() -> Result<()> {
    run(async {
        let text = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"},\"finish_reason\":null}]}\n\n";
        for failure in [
            "data: {\"object\":\"error\",\"message\":\"x y\",\"code\":500}\n\n",
            "error: {\"message\":\"x y\"}\n\n",
            "event: error\ndata: {\"message\":\"x y\"}\n\n",
            "{\"error\":{\"message\":\"x y\"}}\n\n",
            "data: {\"code\":1302,\"msg\":\"x y\"}\n\n",
            "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"network_error\"}]}\n\n",
        ] {
            let (gateway, first, second) = two().await?;
            first.always(event_stream(&format!("{text}{failure}data: [DONE]\n\n")));
            let answer = gateway.call(&stream("m", "hi")).await?.text();
            assert!(answer.starts_with(text), "{answer}");
            assert!(
                answer.contains("data: {\"error\":{") && !answer.contains("[DONE]"),
                "{answer}"
            );
            let words = if failure.contains("network") {
                "network_error"
            } else {
                "x y"
            };
            assert!(answer.contains(words), "{answer}");
            assert!(calls(&second).is_empty());
        }
        Ok(())
    })
}

#[test]
fn models_beside_the_model_are_held_against_the_list_and_unknown_paths_are_refused() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        vendor.always(Behaviour::Reply(Reply::json(
            200,
            &json!({"id": "x", "object": "response", "output": []}),
        )));
        let yaml = r#"
consumers:
  - { name: ann, credentials: [{ api_key: sk-ann }], models: [cheap] }
  - { name: bob, credentials: [{ api_key: sk-bob }] }
models:
  - name: llm
    policies: { auth: [ann, bob] }
    routes:
      - match: { path: { exact: /v1/files/import } }
        targets: [{ provider: vendor }]
      - match: { model: [cheap, dear] }
        targets: [{ provider: vendor }]
        parameters: { caps: { max_output_tokens: 100 } }
      - targets: [{ provider: vendor }]
providers:
  - { name: vendor, base_url: "$vendor" }
"#;
        let gateway = start(yaml, &[("vendor", &vendor)]).await?;
        let call = async |request: Request, key: &str| gateway.call(&request.bearer(key)).await;
        let named = |path: &str, body: Value| Request::json(&format!("/llm/v1{path}"), &body);
        for path in [
            "/responses",
            "/responses/compact",
            "/responses/input_tokens",
            "/chat/completions",
        ] {
            let answer = call(
                named(path, json!({"model": "dear", "input": "x"})),
                "sk-ann",
            )
            .await?;
            assert_openai_error(&answer, 403);
            let other = json!({"model": "cheap", "models": ["cheap", "dear"], "input": "x"});
            assert_openai_error(&call(named(path, other), "sk-ann").await?, 403);
        }
        let seen = calls(&vendor).len();
        assert_eq!(seen, 0);
        // The caps of a route hold for all that names a model.
        let body = json!({"model": "dear", "input": "x", "max_output_tokens": 9000});
        let answer = call(named("/responses/compact", body), "sk-bob").await?;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let sent: Value = calls(&vendor)
            .pop()
            .map(|seen| seen.json())
            .unwrap_or_default();
        assert_eq!(sent["max_output_tokens"], 100);

        for (method, path, status) in [
            ("POST", "/responses/%2f", 404),
            ("PUT", "/responses", 405),
            ("POST", "/responses/r-1/other", 404),
            ("GET", "/files/f-1/more", 404),
            ("POST", "/files/import", 200),
        ] {
            let request = Request::new(method, &format!("/llm/v1{path}"));
            let answer = call(request, "sk-bob").await?;
            assert_eq!(
                answer.status(),
                status,
                "{method} {path}: {}",
                answer.text()
            );
        }
        let batch = named("/batches", json!({"input_file_id": "f"}));
        assert_openai_error(&call(batch.clone(), "sk-ann").await?, 403);
        assert_eq!(call(batch, "sk-bob").await?.status(), 200);
        Ok(())
    })
}

#[test]
fn a_key_that_is_not_the_clients_is_not_taken_for_its_own() -> Result<()> {
    run(async {
        let dead = json!([{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}]);
        for refusal in [
            Behaviour::Error(401),
            Behaviour::Reply(Reply::json(400, &dead)),
        ] {
            let vendor = StandinModel::start("vendor")?;
            let yaml = "models: [{ name: llm, routes: [{ targets: [{ provider: vendor }] }] }]\nproviders: [{ name: vendor, base_url: $vendor, api_keys: [sk-of-the-gateway] }]\n";
            let gateway = start(yaml, &[("vendor", &vendor)]).await?;
            vendor.always(refusal);
            for request in [
                chat("m", "hi"),
                stream("m", "hi"),
                Request::get("/llm/v1/files"),
                Request::json("/llm/v1/responses", &json!({"model": "m", "input": "hi"})),
            ] {
                let answer = gateway.call(&request).await?;
                let message = assert_openai_error(&answer, 502);
                assert_eq!(
                    answer.json()["error"]["code"],
                    "provider_unauthorized",
                    "{message}"
                );
                assert!(message.contains("not yours"), "{message}");
            }
        }
        Ok(())
    })
}
