//! `ragflow-sdk`: the gateway asks a RAGFlow what the SDK asks it for the same query, and finds the same. The queries
//! are the golden files of `crates/knowledge`, which hold Dify's request and the SDK's arguments side by side; their
//! bodies are what the SDK sent when they were written, so that a change of the SDK shows, too.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use spillway_tests::{
    Gateway, Options,
    client::Request,
    repository_root, run,
    standin::{RagflowOptions, StandinRagflow},
};

use crate::script;

/// RAGFlow's key, as the golden files have it.
const ENGINE_KEY: &str = "ragflow-secret";

/// By file name without its ending.
fn golden_files() -> Result<BTreeMap<String, (PathBuf, Value)>> {
    let folder = repository_root().join("crates/knowledge/tests/golden/ragflow");
    let mut cases = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_stem().context("a file without a name")?;
        let case = serde_json::from_str(&fs::read_to_string(&path)?)?;
        cases.insert(name.to_string_lossy().into_owned(), (path, case));
    }
    Ok(cases)
}

/// A knowledge API for each case, all before one engine.
fn gateway_yaml(cases: &BTreeMap<String, (PathBuf, Value)>, engine: &str) -> String {
    let apis = cases.iter().map(|(name, (_, case))| {
        let mut backend = case.get("backend").and_then(Value::as_object).cloned();
        backend
            .get_or_insert_default()
            .insert("base_url".to_owned(), json!(engine));
        // An API's name has no underscores.
        json!({"name": name.replace('_', "-"), "backend": backend})
    });
    json!({ "knowledge": apis.collect::<Vec<_>>() }).to_string()
}

#[test]
fn the_gateway_asks_what_ragflows_sdk_asks_and_finds_the_same() -> Result<()> {
    run(async {
        let cases = golden_files()?;
        let engine = StandinRagflow::start(RagflowOptions {
            api_keys: vec![ENGINE_KEY.to_owned()],
            dataset_ids: Vec::new(),
        })?;
        let mut arguments = vec!["--engine".to_owned(), engine.url()];
        arguments.extend(
            cases
                .values()
                .map(|(path, _)| path.to_string_lossy().into_owned()),
        );
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let found_by_sdk = script("ragflow_recorder.py", &arguments).await?;
        let sent_by_sdk = engine.requests();
        assert_eq!(sent_by_sdk.len(), cases.len(), "the SDK asks once each");

        let gateway =
            Gateway::start(&gateway_yaml(&cases, &engine.url()), Options::default()).await?;
        for ((name, (_, case)), by_sdk) in cases.iter().zip(sent_by_sdk) {
            let path = format!("/knowledge/{}/retrieval", name.replace('_', "-"));
            let answer = gateway
                .call(&Request::json(&path, &case["request"]))
                .await?;
            assert_eq!(answer.status(), 200, "{name}: {}", answer.text());
            let by_gateway = engine
                .requests()
                .pop()
                .context("the engine was not asked")?;
            assert_eq!(by_gateway.method, by_sdk.method, "{name}");
            assert_eq!(by_gateway.target, by_sdk.target, "{name}");
            for header in ["authorization", "content-type"] {
                assert_eq!(
                    by_gateway.header(header),
                    by_sdk.header(header),
                    "{name}: {header}"
                );
            }
            assert_eq!(by_gateway.json(), by_sdk.json(), "{name}");
            assert_eq!(
                by_sdk.json(),
                case["body"],
                "{name}: the golden file is out of date"
            );

            let records = answer.json()["records"].clone();
            let records = records.as_array().cloned().unwrap_or_default();
            let found: Vec<Value> = records
                .iter()
                .map(|record| record["content"].clone())
                .collect();
            assert_eq!(json!(found), found_by_sdk[name], "{name}");
        }
        Ok(())
    })
}
