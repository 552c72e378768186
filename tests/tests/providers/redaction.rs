//! What providers say of keys and addresses does not reach clients.

use anyhow::Result;
use serde_json::json;
use spillway_tests::{
    Chat,
    client::Request,
    run,
    standin::{Behaviour, Event, EventStream, Reply, StandinModel},
};

use crate::{chat, start, stream};

const KEY: &str = "sk-provider-secret-1";

const YAML: &str = r#"
models:
  - name: llm
    routes: [{ targets: [{ provider: vendor }] }]
providers:
  - { name: vendor, base_url: "$vendor", api_keys: [sk-provider-secret-1] }
"#;

/// Words that hold everything that must not go out.
fn words(vendor: &StandinModel) -> String {
    format!(
        "key {KEY} of {} was refused by 10.0.0.7:8000 and 192.168.3.4 (try again)",
        vendor.address()
    )
}

fn assert_clean(text: &str, vendor: &StandinModel, what: &str) {
    for secret in [
        KEY,
        &vendor.address().to_string(),
        "10.0.0.7",
        "192.168.3.4",
    ] {
        assert!(!text.contains(secret), "{what}: {secret} in {text}");
    }
    assert!(
        text.contains("try again"),
        "{what}: the rest of the words goes through, not {text}"
    );
}

#[test]
fn errors_in_one_piece_are_without_secrets() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let gateway = start(YAML, &[("vendor", &vendor)]).await?;
        let words = words(&vendor);
        let object = json!({"error": {"message": words, "type": "t", "param": null, "code": "c"}});
        for status in [400, 401, 403, 404, 422, 500, 503] {
            for reply in [
                Reply::json(status, &object),
                Reply::html(status, &words),
                Reply::json(status, &json!({"detail": words})),
            ] {
                vendor.always(Behaviour::Reply(reply.clone()));
                for request in [chat("m", "hi"), stream("m", "hi")] {
                    let answer = gateway.call(&request).await?;
                    assert_eq!(answer.status(), crate::told(status), "{}", answer.text());
                    assert_clean(&answer.text(), &vendor, &format!("{status}"));
                }
            }
        }
        Ok(())
    })
}

#[test]
fn errors_in_answers_of_200_are_without_secrets() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let gateway = start(YAML, &[("vendor", &vendor)]).await?;
        let object =
            json!({"error": {"message": words(&vendor), "type": "t", "param": null, "code": "c"}});
        vendor.always(Behaviour::Reply(Reply::json(200, &object)));
        for request in [chat("m", "hi"), stream("m", "hi")] {
            let answer = gateway.call(&request).await?;
            assert!(answer.status() >= 400, "{}", answer.text());
            assert_clean(&answer.text(), &vendor, "an object");
        }
        let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": {"content": "half"}, "finish_reason": null}]});
        for before in [vec![], vec![Event::data(chunk.to_string())]] {
            let mut events = before.clone();
            events.push(Event::data(object.to_string()));
            let reply = Reply::new(200).header("Content-Type", "text/event-stream");
            let reply = reply.body(EventStream::new().body(&events));
            vendor.always(Behaviour::Reply(reply));
            let answer = gateway.call(&stream("m", "hi")).await?;
            assert_clean(&answer.text(), &vendor, "an event");
            if !before.is_empty() {
                assert!(Chat::read(&answer.text()).error.is_some());
            }
        }
        Ok(())
    })
}

#[test]
fn errors_of_files_and_responses_are_without_secrets() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let gateway = start(YAML, &[("vendor", &vendor)]).await?;
        let object =
            json!({"error": {"message": words(&vendor), "type": "t", "param": null, "code": "c"}});
        // 401 last: it takes the only key out.
        for status in [400, 404, 500, 401] {
            vendor.always(Behaviour::Reply(Reply::json(status, &object)));
            for request in [
                Request::get("/llm/v1/files"),
                Request::json("/llm/v1/batches", &json!({"input_file_id": "f"})),
                Request::json("/llm/v1/responses", &json!({"model": "m", "input": "hi"})),
            ] {
                let answer = gateway.call(&request).await?;
                assert_clean(&answer.text(), &vendor, &request.target);
                if status == 401 {
                    break;
                }
            }
        }
        Ok(())
    })
}
