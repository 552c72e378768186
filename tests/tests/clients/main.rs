//! Real clients: `openai`, the base classes of Dify's plugin SDK, Dify's caller of external knowledge bases, Socket.IO, and
//! RAGFlow's SDK.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use spillway_tests::{
    Gateway, Options, python, repository_root, run_to_end,
    standin::{ModelOptions, StandinModel},
};

mod anthropic;
mod dify_plugin;
mod dify_retrieval;
mod openai;
mod ragflow_sdk;
mod socket_io;

/// What the clients call with.
const KEY: &str = "sk-client-1";

/// A gateway that wants a key, in front of a vendor and, before it, one that is dead.
struct Service {
    gateway: Gateway,
    vendor: StandinModel,
}

impl Service {
    async fn start() -> Result<Self> {
        let vendor = StandinModel::start_with(ModelOptions {
            name: "vendor".to_owned(),
            api_keys: vec!["sk-vendor".to_owned()],
            models: Vec::new(),
        })?;
        let yaml = format!(
            r#"
consumers:
  - name: dify
    credentials: [{{ api_key: "{{{{ client_key }}}}" }}]
models:
  - name: llm
    policies: {{ auth: [dify] }}
    routes:
      - match: {{ model: [gpt-4o, embed] }}
        targets: [{{ provider: vendor }}]
providers:
  - {{ name: vendor, base_url: "{}", api_keys: [sk-vendor] }}
"#,
            vendor.base_url()
        );
        let gateway = Gateway::start(&yaml, Options::default().secret("client_key", KEY)).await?;
        Ok(Self { gateway, vendor })
    }

    /// Runs a script with the base URL, the key and further arguments, and gives the JSON it prints.
    async fn call(&self, name: &str, further: &[String]) -> Result<Value> {
        let base_url = format!("{}/llm/v1", self.gateway.url());
        let own = [base_url.as_str(), KEY];
        let further = further.iter().map(String::as_str);
        let arguments: Vec<&str> = own.into_iter().chain(further).collect();
        script(name, &arguments).await
    }
}

/// Runs a script of `tests/clients` with these arguments, and gives the JSON it prints.
async fn script(name: &str, arguments: &[&str]) -> Result<Value> {
    let file = repository_root().join("tests/clients").join(name);
    let mut command = Command::new(python()?);
    command.arg(file).args(arguments);
    // Some clients would ask the system's proxy for loopback.
    command.env("NO_PROXY", "127.0.0.1").env("PYTHONUTF8", "1");
    let outcome = run_to_end(&mut command).await?;
    ensure!(
        outcome.code == Some(0),
        "{command:?} failed:\n{}",
        outcome.everything()
    );
    let line = outcome
        .output
        .lines()
        .last()
        .context("the script printed nothing")?;
    serde_json::from_str(line).with_context(|| outcome.everything())
}
