//! What the stand-ins normally answer: a vendor's API and Dify's.

use anyhow::Result;
use serde_json::{Value, json};
use spillway_standin::{
    ModelOptions, Standin, StandinDify, StandinModel, chat_text,
    client::{Connection, End, Request, Response},
    usage,
};

async fn call(standin: &Standin, request: Request) -> Result<Response> {
    let connection = Connection::open(standin.address()).await?;
    let response = connection.call(&request).await?.finish().await?;
    assert_eq!(response.end, End::Clean, "{request:?}");
    Ok(response)
}

fn chat(text: &str) -> Value {
    json!({"model": "gpt-4o", "messages": [{"role": "user", "content": text}]})
}

#[tokio::test]
async fn a_vendor_chats() -> Result<()> {
    let model = StandinModel::start("first")?;
    let request = chat("hello");
    let answer = call(&model, Request::json("/v1/chat/completions", &request))
        .await?
        .json();
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["model"], "gpt-4o");
    assert_eq!(answer["system_fingerprint"], "first");
    assert_eq!(
        answer["choices"][0]["message"]["content"],
        chat_text("gpt-4o", "hello")
    );
    let usage = usage(&request);
    assert_eq!(usage.prompt_tokens, 2);
    assert_eq!(answer["usage"]["total_tokens"], usage.total_tokens());

    let streamed = json!({"model": "gpt-4o", "stream": true, "messages": request["messages"]});
    let answer = call(&model, Request::json("/v1/chat/completions", &streamed)).await?;
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("text/event-stream")
    );
    assert!(
        !answer.text().contains("usage"),
        "usage comes only when asked for"
    );
    let prompt = json!({"model": "gpt-4o", "prompt": "hello"});
    let answer = call(&model, Request::json("/v1/completions", &prompt))
        .await?
        .json();
    assert_eq!(answer["choices"][0]["text"], chat_text("gpt-4o", "hello"));
    Ok(())
}

#[tokio::test]
async fn a_vendor_calls_a_tool() -> Result<()> {
    let model = StandinModel::start("first")?;
    let mut request = chat("hello");
    request["tools"] = json!([{"type": "function", "function": {"name": "weather"}}]);
    let answer = call(&model, Request::json("/v1/chat/completions", &request))
        .await?
        .json();
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
    request["stream"] = json!(true);
    let answer = call(&model, Request::json("/v1/chat/completions", &request))
        .await?
        .text();
    assert!(answer.contains("\"name\":\"weather\""), "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_vendor_embeds_lists_and_refuses() -> Result<()> {
    let model = StandinModel::start_with(ModelOptions {
        name: "first".to_owned(),
        api_keys: vec!["sk-1".to_owned()],
        models: vec!["gpt-4o".to_owned(), "embed".to_owned()],
    })?;
    let body = json!({"model": "embed", "input": ["a", "b"]});
    let request = Request::json("/v1/embeddings", &body);
    assert_eq!(call(&model, request.clone()).await?.status(), 401);
    let answer = call(&model, request.bearer("sk-1")).await?.json();
    assert_eq!(answer["data"].as_array().map(Vec::len), Some(2));
    let base64 = json!({"model": "embed", "input": "a", "encoding_format": "base64"});
    let request = Request::json("/v1/embeddings", &base64).bearer("sk-1");
    assert!(call(&model, request).await?.json()["data"][0]["embedding"].is_string());
    let list = call(&model, Request::get("/v1/models").bearer("sk-1"))
        .await?
        .json();
    assert_eq!(list["data"][1]["id"], "embed");
    let missing = call(&model, Request::get("/v1/nothing").bearer("sk-1")).await?;
    assert_eq!(
        (missing.status(), missing.json()["error"]["code"].as_str()),
        (404, Some("unknown_url"))
    );
    Ok(())
}

#[tokio::test]
async fn dify_streams_documented_events_with_pings() -> Result<()> {
    let dify = StandinDify::start()?;
    for (path, expected) in [
        ("/v1/chat-messages", ["message", "message_end"].as_slice()),
        ("/v1/completion-messages", &["message", "message_end"]),
        (
            "/v1/workflows/run",
            &[
                "workflow_started",
                "node_started",
                "text_chunk",
                "node_finished",
                "workflow_finished",
            ],
        ),
    ] {
        let run = json!({"inputs": {}, "query": "hi", "response_mode": "streaming", "user": "u"});
        let answer = call(&dify.api, Request::json(path, &run).bearer("app-1")).await?;
        let body = answer.text();
        assert!(body.contains("\n\nevent: ping\n\n"), "{body}");
        let mut events: Vec<String> = body
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
            .map(|event| event["event"].as_str().unwrap_or_default().to_owned())
            .collect();
        events.dedup();
        assert_eq!(events, expected, "{path}");
        assert!(!body.contains("[DONE]") && !body.contains('\r'), "{body}");
    }
    Ok(())
}

#[tokio::test]
async fn dify_answers_blocking_runs_files_login_and_pages() -> Result<()> {
    let dify = StandinDify::start()?;
    let run = json!({"inputs": {}, "query": "hi", "response_mode": "blocking", "user": "u"});
    let chat = Request::json("/v1/chat-messages", &run);
    let refused = call(&dify.api, chat.clone()).await?;
    assert_eq!(
        (refused.status(), refused.json()["status"].as_u64()),
        (401, Some(401))
    );
    assert_eq!(
        refused.header("www-authenticate").as_deref(),
        Some("Bearer realm=\"api\"")
    );
    let answer = call(&dify.api, chat.bearer("app-1")).await?.json();
    assert!(
        answer["answer"]
            .as_str()
            .unwrap()
            .starts_with("You said: hi")
    );
    let workflow = Request::json("/v1/workflows/run", &run).bearer("app-1");
    assert_eq!(
        call(&dify.api, workflow).await?.json()["data"]["status"],
        "succeeded"
    );

    let login = call(&dify.api, Request::new("POST", "/console/api/login")).await?;
    assert_eq!(login.head.header_values("set-cookie").len(), 3);
    let index = call(&dify.api, Request::get("/v1?a=b").header("Host", "public")).await?;
    assert_eq!(index.status(), 308);
    assert_eq!(
        index.header("location").as_deref(),
        Some("http://public/v1/?a=b")
    );
    let file = call(&dify.api, Request::get("/files/1")).await?;
    assert_eq!(file.body.len(), 1024);
    let part = call(
        &dify.api,
        Request::get("/files/1").header("Range", "bytes=10-19"),
    )
    .await?;
    assert_eq!((part.status(), &part.body[..]), (206, &file.body[10..20]));
    let known = Request::get("/files/1").header("If-None-Match", "\"file-1\"");
    assert_eq!(call(&dify.api, known).await?.status(), 304);

    let page = call(&dify.web, Request::get("/apps")).await?;
    assert!(
        page.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    let hook = Request::get("/e/hook").header("Dify-Hook-Url", "http://a/e/hook");
    assert_eq!(
        call(&dify.plugin_daemon, hook).await?.json()["hook_url"],
        "http://a/e/hook"
    );
    assert_eq!(dify.requests_mentioning("hook").len(), 1);
    Ok(())
}
