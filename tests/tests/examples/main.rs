//! The configurations of `examples/`, started before stand-ins, and asked what their pages ask.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use spillway_tests::{
    Gateway, Options, Redis, attempts, chat_request,
    client::{Request, Response},
    message, provider, repository_root, run,
    standin::{
        Behaviour, ModelOptions, RagflowOptions, StandinAnthropic, StandinDify, StandinModel,
        StandinRagflow, ragflow_chunk_text,
    },
    stream_request, until,
};

const CHAT: &str = "/llm/v1/chat/completions";

/// Which there are; each has a test of its name.
const EXAMPLES: [&str; 6] = [
    "everything",
    "first-start",
    "limits-per-app",
    "nginx-replaced",
    "ragflow",
    "two-vendors",
];

/// An example, as it is to be started: its addresses led elsewhere, and the secrets that it reads.
struct Example {
    yaml: String,
    options: Options,
}

impl Example {
    fn read(name: &str) -> Result<Self> {
        let file = repository_root().join("examples").join(name);
        let file = file.join("gateway.yaml");
        let yaml = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let options = Options::default();
        Ok(Self { yaml, options })
    }

    fn lead(mut self, address: &str, to: &str) -> Self {
        assert!(self.yaml.contains(address), "{address} is not in it");
        self.yaml = self.yaml.replace(address, to);
        self
    }

    /// Dify's services to those of a stand-in.
    fn dify(mut self, dify: &StandinDify) -> Self {
        for (name, standin) in dify.services() {
            let port = match name {
                "api" => 5001,
                "web" => 3000,
                _ => 5002,
            };
            self.yaml = self
                .yaml
                .replace(&format!("http://{name}:{port}"), &standin.url());
        }
        self
    }

    fn secret(mut self, name: &str, value: &str) -> Self {
        let placed = format!("{{{{ {name} }}}}");
        assert!(self.yaml.contains(&placed), "{placed} is not in it");
        self.options = self.options.secret(name, value);
        self
    }

    async fn start(self) -> Result<Gateway> {
        Gateway::start(&self.yaml, self.options.lasting()).await
    }
}

fn vendor(name: &str, key: &str) -> Result<StandinModel> {
    Ok(StandinModel::start_with(ModelOptions {
        name: name.to_owned(),
        api_keys: vec![key.to_owned()],
        ..ModelOptions::default()
    })?)
}

fn chat(key: &str, model: &str) -> Request {
    Request::json(CHAT, &chat_request(model, "Hello")).bearer(key)
}

fn knowledge(key: &str) -> Request {
    let query = json!({
        "knowledge_id": "default", "query": "holidays",
        "retrieval_setting": {"top_k": 2, "score_threshold": 0},
    });
    Request::json("/knowledge/handbook/retrieval", &query).bearer(key)
}

fn assert_finds(answer: &Response) {
    let first = answer.json();
    let first = first.pointer("/records/0/content").and_then(Value::as_str);
    let expected = ragflow_chunk_text("holidays", "kb1", 1);
    assert_eq!(first, Some(expected.as_str()), "{}", answer.text());
}

fn ragflow() -> Result<StandinRagflow> {
    Ok(StandinRagflow::start(RagflowOptions {
        api_keys: vec!["ragflow-1".to_owned()],
        dataset_ids: vec!["kb1".to_owned()],
    })?)
}

#[test]
fn each_example_has_a_page_and_a_test() -> Result<()> {
    let folder = repository_root().join("examples");
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.is_dir() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            assert!(path.join("README.md").is_file(), "{name} has no page");
            found.insert(name.into_owned());
        }
    }
    assert_eq!(found, EXAMPLES.map(str::to_owned).into());
    let list = fs::read_to_string(folder.join("README.md"))?;
    for name in found {
        assert!(
            list.contains(&format!("[{name}]({name})")),
            "{name} is not listed"
        );
    }
    Ok(())
}

#[test]
fn first_start() -> Result<()> {
    run(async {
        let openai = vendor("openai", "sk-openai")?;
        let gateway = Example::read("first-start")?
            .lead("https://api.openai.com/v1", &openai.base_url())
            .secret("dify_key", "sk-choose-one")
            .secret("openai_key", "sk-openai")
            .start()
            .await?;
        let answer = gateway.call(&chat("sk-choose-one", "gpt-4o-mini")).await?;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(provider(&answer.head).as_deref(), Some("openai"));
        assert!(message(&answer.json()).contains("Hello"));
        let stranger = gateway.call(&chat("sk-another", "gpt-4o-mini")).await?;
        assert_eq!(stranger.status(), 401);
        Ok(())
    })
}

#[test]
fn nginx_replaced() -> Result<()> {
    run(async {
        let dify = StandinDify::start()?;
        let gateway = Example::read("nginx-replaced")?.dify(&dify).start().await?;
        assert_eq!(gateway.call(&Request::get("/")).await?.status(), 200);
        assert_eq!(dify.web.requests().len(), 1);
        let body =
            json!({"inputs": {}, "query": "Hello", "response_mode": "streaming", "user": "me"});
        let message = Request::json("/v1/chat-messages", &body).bearer("app-1");
        let answer = gateway.call(&message).await?;
        assert!(answer.text().contains("message_end"), "{}", answer.text());
        assert_eq!(dify.api.requests_mentioning("Hello").len(), 1);
        Ok(())
    })
}

#[test]
fn two_vendors() -> Result<()> {
    run(async {
        let openai = vendor("openai", "sk-2")?;
        let claude = StandinAnthropic::start("sk-ant-1")?;
        let gateway = Example::read("two-vendors")?
            .lead("https://api.openai.com/v1", &openai.base_url())
            .lead("https://api.anthropic.com", &claude.base_url())
            .secret("dify_key", "sk-choose-one")
            .secret("openai_key", "sk-revoked")
            .secret("openai_second_key", "sk-2")
            .secret("anthropic_key", "sk-ant-1")
            .start()
            .await?;
        // A key that is not taken is passed over.
        for _ in 0..2 {
            let answer = gateway.call(&chat("sk-choose-one", "gpt-4o-mini")).await?;
            assert_eq!(provider(&answer.head).as_deref(), Some("openai"));
        }
        openai.always(Behaviour::Error(503));
        let body = stream_request("gpt-4o-mini", "Hello");
        for request in [
            chat("sk-choose-one", "gpt-4o-mini"),
            Request::json(CHAT, &body).bearer("sk-choose-one"),
        ] {
            let answer = gateway.call(&request).await?;
            assert_eq!(answer.status(), 200, "{}", answer.text());
            assert_eq!(provider(&answer.head).as_deref(), Some("claude"));
            assert!(attempts(&answer.head).is_some());
        }
        Ok(())
    })
}

#[test]
fn limits_per_app() -> Result<()> {
    run(async {
        let dify = StandinDify::start()?;
        let gateway = Example::read("limits-per-app")?
            .dify(&dify)
            .secret("digest_key", "0123456789abcdef")
            .secret("trial_app", "app-trial")
            .start()
            .await?;
        let info = Request::get("/v1/info").bearer("app-trial");
        for left in (0..5).rev() {
            let answer = gateway.call(&info).await?;
            assert_eq!(answer.status(), 200, "{}", answer.text());
            let told = answer.header("x-ratelimit-remaining");
            assert_eq!(told, Some(left.to_string()));
        }
        let refused = gateway.call(&info).await?;
        assert_eq!(refused.status(), 429);
        assert!(refused.header("retry-after").is_some());
        let other = Request::get("/v1/info").bearer("app-other");
        assert_eq!(gateway.call(&other).await?.status(), 200);
        Ok(())
    })
}

#[test]
fn ragflow_as_knowledge() -> Result<()> {
    run(async {
        let engine = ragflow()?;
        let gateway = Example::read("ragflow")?
            .lead("http://ragflow:9380", &engine.url())
            .secret("handbook_key", "choose-one")
            .secret("ragflow_key", "ragflow-1")
            .secret("ragflow_dataset", "kb1")
            .start()
            .await?;
        assert_finds(&gateway.call(&knowledge("choose-one")).await?);
        assert_eq!(gateway.call(&knowledge("another")).await?.status(), 403);
        Ok(())
    })
}

#[test]
fn everything() -> Result<()> {
    run(async {
        let (dify, redis) = (StandinDify::start()?, Redis::start().await?);
        let (openai, studio) = (vendor("openai", "sk-1")?, vendor("studio", "sk-2")?);
        let machines = [StandinModel::start("one")?, StandinModel::start("two")?];
        let (claude, engine) = (StandinAnthropic::start("sk-ant-1")?, ragflow()?);
        let gateway = Example::read("everything")?
            .dify(&dify)
            .lead("https://api.openai.com/v1", &openai.base_url())
            .lead(
                "https://dashscope.aliyuncs.com/compatible-mode/v1",
                &studio.base_url(),
            )
            .lead("https://api.anthropic.com", &claude.base_url())
            .lead("http://10.0.0.1:8000/v1", &machines[0].base_url())
            .lead("http://10.0.0.2:8000/v1", &machines[1].base_url())
            .lead("http://ragflow:9380", &engine.url())
            .secret("redis_url", &format!("redis://{}", redis.address()))
            .secret("digest_key", "0123456789abcdef")
            .secret("dify_key", "sk-choose-one")
            .secret("research_secret", "s3cret")
            .secret("model_studio_key", "sk-2")
            .secret("openai_key", "sk-1")
            .secret("anthropic_key", "sk-ant-1")
            .secret("handbook_key", "choose-another")
            .secret("ragflow_key", "ragflow-1")
            .secret("ragflow_dataset", "kb1")
            .start()
            .await?;
        let ready = gateway
            .call(&Request::get("/_gateway/health/ready"))
            .await?;
        assert_eq!(ready.status(), 200, "{}", ready.text());
        let answer = gateway.call(&chat("sk-choose-one", "qwen3")).await?;
        assert_eq!(provider(&answer.head).as_deref(), Some("vllm"));
        for machine in &machines {
            machine.always(Behaviour::Reset);
        }
        let answer = gateway.call(&chat("sk-choose-one", "qwen3")).await?;
        assert_eq!(provider(&answer.head).as_deref(), Some("model-studio"));
        let answer = gateway.call(&chat("sk-choose-one", "gpt-4o-mini")).await?;
        assert_eq!(provider(&answer.head).as_deref(), Some("openai"));
        openai.always(Behaviour::Error(500));
        let answer = gateway.call(&chat("sk-choose-one", "gpt-4o-mini")).await?;
        assert_eq!(provider(&answer.head).as_deref(), Some("claude"));
        assert_finds(&gateway.call(&knowledge("choose-another")).await?);
        let info = Request::get("/v1/info").bearer("app-1");
        for _ in 0..60 {
            assert_eq!(gateway.call(&info).await?.status(), 200);
        }
        assert_eq!(gateway.call(&info).await?.status(), 429);
        until("the line of the refused request", async || {
            let log = gateway.log();
            Ok(log.contains("\"reason\":\"rate_limited\"").then_some(()))
        })
        .await?;
        Ok(())
    })
}
