//! The `openai` client.

use anyhow::Result;
use serde_json::json;
use spillway_tests::{
    chat_request, run,
    standin::{Behaviour, EventStream, LineEnd, chat_text, usage},
};

use crate::Service;

#[test]
fn the_openai_client_gets_along() -> Result<()> {
    run(async {
        let service = Service::start().await?;
        for status in [400, 429, 503] {
            service.vendor.when(
                &format!("please fail with {status}"),
                Behaviour::Error(status),
            );
        }
        let odd = EventStream::new()
            .line_end(LineEnd::CrLf)
            .event_lines()
            .comment_lines();
        service.vendor.when("please be odd", Behaviour::Stream(odd));
        service.vendor.when(
            "please break off",
            Behaviour::Stream(EventStream::new().error_after(4)),
        );

        let result = service.call("openai_calls.py", &[]).await?;
        let text = chat_text("gpt-4o", "hello");
        let counted = usage(&chat_request("gpt-4o", "hello"));
        let told = json!({"prompt_tokens": counted.prompt_tokens, "completion_tokens": counted.completion_tokens,
            "total_tokens": counted.total_tokens()});

        assert_eq!(
            result["chat"],
            json!({"text": text, "model": "gpt-4o", "total_tokens": counted.total_tokens()})
        );
        assert_eq!(result["provider"], "vendor");
        assert_eq!(
            result["stream"],
            json!({"text": text, "finish_reason": "stop", "usages": [], "without_choices": 0}),
            "a client that did not ask for usage"
        );
        assert_eq!(
            result["stream_with_usage"],
            json!({"text": text, "finish_reason": "stop", "usages": [told], "without_choices": 1}),
            "a client that asked for usage"
        );
        assert_eq!(
            result["stream_odd"]["text"],
            chat_text("gpt-4o", "please be odd")
        );
        assert_eq!(result["completion"], text);
        assert_eq!(result["vectors"].as_array().map(Vec::len), Some(2));
        assert_eq!(
            result["vectors"][0], result["floats"],
            "base64 and floats are the same vector"
        );
        let models = result["models"].as_array().cloned().unwrap_or_default();
        assert!(
            models.contains(&json!("gpt-4o")) && models.contains(&json!("embed")),
            "{models:?}"
        );
        Ok(())
    })
}

#[test]
fn the_openai_client_knows_each_error_by_its_class() -> Result<()> {
    run(async {
        let service = Service::start().await?;
        for status in [400, 429, 503] {
            service.vendor.when(
                &format!("please fail with {status}"),
                Behaviour::Error(status),
            );
        }
        service.vendor.when(
            "please break off",
            Behaviour::Stream(EventStream::new().error_after(4)),
        );
        let errors = &service.call("openai_calls.py", &[]).await?["errors"];
        for (what, class, status) in [
            ("wrong key", "AuthenticationError", 401),
            ("unknown model", "NotFoundError", 404),
            ("bad request", "BadRequestError", 400),
            ("rate limit", "RateLimitError", 429),
            ("overload", "InternalServerError", 503),
            ("overload, streamed", "InternalServerError", 503),
        ] {
            assert_eq!(errors[what]["class"], class, "{what}: {errors}");
            assert_eq!(errors[what]["status"], status, "{what}: {errors}");
            assert!(errors[what]["message"].is_string(), "{what}: {errors}");
        }
        assert_eq!(errors["broken stream"]["class"], "APIError", "{errors}");
        Ok(())
    })
}
