//! Socket.IO, as Dify's collaboration mode speaks it: a real server behind the gateway, real clients before it.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use spillway_tests::{
    Gateway, Options, Program, Redis, embedded_only, node_script, run, run_to_end, until,
};

const POLLING: &str = "polling";
const UPGRADE: &str = "upgrade";
const WEBSOCKET: &str = "websocket";
const NO_WEBSOCKET: &str = "Spin hands no connection on, so that a WebSocket is answered with 501";

/// A gateway before a Socket.IO server.
struct Collaboration {
    gateway: Gateway,
    _server: Program,
}

impl Collaboration {
    /// With these settings of the API, and of the whole.
    async fn start(api: &str, whole: &str) -> Result<Self> {
        let server = Program::start(&mut node_script("socket_io_server.js", &[])?)?;
        let port = server.line(1).await?;
        let yaml = format!(
            "{whole}agents:\n  - name: dify\n    services: {{ socket_io: \"http://127.0.0.1:{port}\" }}\n{api}"
        );
        Ok(Self {
            gateway: Gateway::start(&yaml, Options::default()).await?,
            _server: server,
        })
    }

    /// Runs a client to its end, and gives what it tells.
    async fn client(&self, transport: &str, scenario: &str) -> Result<Value> {
        let arguments = [&self.gateway.url(), transport, scenario];
        let outcome = run_to_end(&mut node_script("socket_io_client.js", &arguments)?).await?;
        ensure!(outcome.code == Some(0), "{}", outcome.everything());
        let line = outcome.output.lines().last().unwrap_or_default();
        serde_json::from_str(line).with_context(|| outcome.everything())
    }

    /// A client that stays until it is disconnected. It is connected.
    async fn staying(&self, transport: &str) -> Result<Program> {
        let arguments = [&self.gateway.url(), transport, "stay"];
        let client = Program::start(&mut node_script("socket_io_client.js", &arguments)?)?;
        let first = client.line(1).await?;
        ensure!(first == "connected", "{first}");
        Ok(client)
    }
}

async fn assert_talks(transport: &str, at_last: &str) -> Result<()> {
    let collaboration = Collaboration::start("", "").await?;
    let result = collaboration.client(transport, "talk").await?;
    let member = |pointer: &str| result.pointer(pointer);
    assert_eq!(member("/transport"), Some(&at_last.into()), "{result}");
    assert_eq!(member("/text"), Some(&true.into()), "{result}");
    assert_eq!(
        member("/binary"),
        Some(&true.into()),
        "1 MiB there and back: {result}"
    );
    assert_eq!(
        member("/later"),
        Some(&2000.into()),
        "an event after silence: {result}"
    );
    assert_eq!(
        member("/headers/x-forwarded-for"),
        Some(&"127.0.0.1".into()),
        "{result}"
    );
    assert!(
        member("/headers/x-request-id").is_some_and(Value::is_string),
        "{result}"
    );
    assert_eq!(member("/headers/x-gateway-join"), None, "{result}");
    Ok(())
}

#[test]
fn polling_alone_carries_everything() -> Result<()> {
    run(assert_talks(POLLING, POLLING))
}

#[test]
fn polling_becomes_a_websocket() -> Result<()> {
    if !embedded_only(NO_WEBSOCKET) {
        return Ok(());
    }
    run(assert_talks(UPGRADE, WEBSOCKET))
}

#[test]
fn a_websocket_from_the_beginning_carries_everything() -> Result<()> {
    if !embedded_only(NO_WEBSOCKET) {
        return Ok(());
    }
    run(assert_talks(WEBSOCKET, WEBSOCKET))
}

#[test]
fn a_server_that_ends_is_gone_for_its_clients() -> Result<()> {
    if !embedded_only(NO_WEBSOCKET) {
        return Ok(());
    }
    run(async {
        let collaboration = Collaboration::start("", "").await?;
        let result = collaboration.client(UPGRADE, "die").await?;
        assert_eq!(result, json!({ "reason": "transport close" }));
        let result = collaboration.client(WEBSOCKET, "talk").await?;
        assert!(
            result["description"]
                .as_str()
                .is_some_and(|told| told.contains("502")),
            "{result}"
        );
        Ok(())
    })
}

#[test]
fn a_client_that_is_gone_has_left_the_server_and_its_place() -> Result<()> {
    if !embedded_only(NO_WEBSOCKET) {
        return Ok(());
    }
    run(async {
        let redis = Redis::start().await?;
        let limit = "    policies: { rate_limits: [{ rule_name: open, global_threshold: { concurrency: 1 } }] }\n";
        let state = format!("state: {{ redis: \"{}\" }}\n", redis.url());
        let collaboration = Collaboration::start(limit, &state).await?;
        let first = collaboration.staying(WEBSOCKET).await?;
        let refused = collaboration.client(WEBSOCKET, "talk").await?;
        assert!(
            refused["description"]
                .as_str()
                .is_some_and(|told| told.contains("429")),
            "the place is held as long as the connections are joined: {refused}"
        );
        first.kill()?;
        let result = until("the place of a client that is gone", async || {
            let result = collaboration.client(WEBSOCKET, "talk").await?;
            Ok(result.get("error").is_none().then_some(result))
        })
        .await?;
        assert_eq!(result["sockets"], 1, "the server has seen it go: {result}");
        Ok(())
    })
}

#[test]
fn websockets_are_told_of_the_hosts_end_and_it_waits_for_them() -> Result<()> {
    if !embedded_only(NO_WEBSOCKET) {
        return Ok(());
    }
    run(async {
        let mut collaboration = Collaboration::start("", "").await?;
        let client = collaboration.staying(UPGRADE).await?;
        collaboration.gateway.terminate()?;
        let told: Value = serde_json::from_str(&client.line(2).await?)?;
        assert_eq!(told, json!({ "reason": "transport close", "code": 1001 }));
        assert_eq!(collaboration.gateway.exit_code().await?, Some(0));
        let log = collaboration.gateway.log();
        assert!(!log.contains("was cut"), "{log}");
        assert!(log.contains("end=stopping"), "{log}");
        Ok(())
    })
}

#[test]
fn a_websocket_lasts_as_long_as_it_may() -> Result<()> {
    if !embedded_only(NO_WEBSOCKET) {
        return Ok(());
    }
    run(async {
        let collaboration = Collaboration::start("    timeouts: { websocket: 1s }\n", "").await?;
        let client = collaboration.staying(WEBSOCKET).await?;
        let told: Value = serde_json::from_str(&client.line(2).await?)?;
        assert_eq!(told, json!({ "reason": "transport close", "code": 1001 }));
        Ok(())
    })
}
