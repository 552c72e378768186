//! A configuration, a secret and a certificate that are replaced while the gateway serves.

mod refused;
mod renewed;

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context, Result};
use serde_json::Value;
use spillway_tests::{
    Certificates, Gateway, Options, TlsTunnel,
    client::{Connection, End, Request},
    embedded_only, metrics, run,
    standin::{Behaviour, EventStream, Gate, StandinDify, StandinModel, Wait},
    stream_request, until,
};
use tokio::{sync::watch, task::JoinHandle};

const EDITS: usize = 20;
const STREAMS: usize = 50;
/// Each asks, waits and asks again: about 200 requests a second together.
const CLIENTS: usize = 4;
const PAUSE: Duration = Duration::from_millis(20);

fn watching() -> Options {
    Options {
        watches_file: true,
        ..Options::default()
    }
}

fn yaml(dify: &StandinDify) -> String {
    format!(
        "agents:\n  - name: dify\n    services: {{ api: \"{}\" }}\n",
        dify.api.url()
    )
}

/// Which version health tells of, and whether a newer one was refused.
async fn in_force(gateway: &Gateway) -> Result<(String, bool)> {
    let ready = gateway
        .call(&Request::get("/_gateway/health/ready"))
        .await?;
    let ready = ready.json();
    let told = |member: &str| ready.pointer(member).and_then(Value::as_str);
    assert!(told("/config/loaded_at").is_some(), "{ready}");
    let version = told("/config/version").context("no version")?;
    Ok((version.to_owned(), told("/config/refused").is_some()))
}

/// Waits until another version than this is in force.
async fn another(gateway: &Gateway, version: &str) -> Result<String> {
    until("another version", async || {
        let now = in_force(gateway).await?.0;
        Ok((now != version).then_some(now))
    })
    .await
}

fn open_stream() -> Request {
    let body =
        serde_json::json!({"query": "open-stream", "response_mode": "streaming", "user": "u"});
    Request::json("/v1/chat-messages", &body).bearer("app-1")
}

/// Clients that ask for as long as they are not told to stop, each on one connection.
struct Load {
    stop: watch::Sender<bool>,
    clients: Vec<JoinHandle<Result<usize>>>,
}

impl Load {
    fn on(address: SocketAddr) -> Self {
        let stop = watch::Sender::new(false);
        let clients = (0..CLIENTS).map(|_| tokio::spawn(ask(address, stop.subscribe())));
        Self {
            clients: clients.collect(),
            stop,
        }
    }

    /// How many requests there were; all of them had 200.
    async fn end(self) -> Result<usize> {
        self.stop.send_replace(true);
        let mut asked = Vec::new();
        for client in self.clients {
            asked.push(client.await??);
        }
        Ok(asked.iter().sum())
    }
}

async fn ask(address: SocketAddr, stop: watch::Receiver<bool>) -> Result<usize> {
    let mut connection = Connection::open(address).await?;
    for asked in 0.. {
        if *stop.borrow() {
            return Ok(asked);
        }
        let answer = connection.call(&Request::get("/api/x")).await?;
        let (answer, kept) = answer.finish_and_keep().await?;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        connection = kept;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(usize::MAX)
}

#[test]
fn edits_under_load_fail_no_request_and_cut_no_stream() -> Result<()> {
    if !embedded_only("Spin reads its configuration once") {
        return Ok(());
    }
    run(async {
        let difys = [StandinDify::start()?, StandinDify::start()?];
        let gateway = Gateway::start(&yaml(&difys[0]), watching()).await?;
        let gate = Gate::new();
        let held = EventStream::new().wait_before(1, Wait::Release(gate.clone()));
        difys[0].api.when("open-stream", Behaviour::Stream(held));
        let request = open_stream();
        let mut streams = Vec::new();
        for _ in 0..STREAMS {
            let mut stream = gateway.begin(&request).await?;
            assert!(stream.next_block().await?.is_some());
            streams.push(stream);
        }
        let load = Load::on(gateway.address());
        let mut version = in_force(&gateway).await?.0;
        for edit in 1..=EDITS {
            let next = &difys[edit % 2];
            gateway.configure(&yaml(next))?;
            version = another(&gateway, &version).await?;
            let path = format!("/api/edit-{edit}");
            assert_eq!(gateway.call(&Request::get(&path)).await?.status(), 200);
            assert_eq!(next.api.requests_mentioning(&path).len(), 1, "edit {edit}");
        }
        assert!(load.end().await? > EDITS);
        gate.open();
        for stream in streams {
            let stream = stream.finish().await?;
            assert_eq!(stream.end, End::Clean, "a stream was cut");
            assert!(stream.text().contains("message_end"), "{}", stream.text());
        }
        Ok(())
    })
}

#[test]
fn a_new_version_has_room_while_streams_hold_all_places_of_the_old_one() -> Result<()> {
    if !embedded_only("Spin reads its configuration once") {
        return Ok(());
    }
    run(async {
        let difys = [StandinDify::start()?, StandinDify::start()?];
        // Each stream has an instance of its own, as long as there is a place for one.
        let options = watching()
            .environment("SPIN_MAX_INSTANCE_COUNT", "16")
            .arguments(&["--max-instance-reuse-count", "1"]);
        let gateway = Gateway::start(&yaml(&difys[0]), options).await?;
        let gate = Gate::new();
        let held = EventStream::new().wait_before(1, Wait::Release(gate.clone()));
        difys[0].api.when("open-stream", Behaviour::Stream(held));
        let mut streams = Vec::new();
        for _ in 0..16 {
            let mut stream = gateway.begin(&open_stream()).await?;
            assert!(stream.next_block().await?.is_some());
            streams.push(stream);
        }
        let version = in_force(&gateway).await?.0;
        gateway.configure(&yaml(&difys[1]))?;
        another(&gateway, &version).await?;
        for _ in 0..20 {
            let answer = gateway.call(&Request::get("/api/x")).await?;
            assert_eq!(answer.status(), 200, "{}", answer.text());
        }
        gate.open();
        for stream in streams {
            assert_eq!(stream.finish().await?.end, End::Clean, "a stream was cut");
        }
        Ok(())
    })
}

#[test]
fn nothing_is_left_of_versions_when_it_ends() -> Result<()> {
    if !embedded_only("the folder is the embedded host's") {
        return Ok(());
    }
    run(async {
        let dify = StandinDify::start()?;
        let state = tempfile::tempdir()?;
        let options = Options {
            state_directory: Some(state.path().to_owned()),
            ..watching()
        };
        let mut gateway = Gateway::start(&yaml(&dify), options).await?;
        let version = in_force(&gateway).await?.0;
        gateway.configure(&format!("{}    base_path: /dify\n", yaml(&dify)))?;
        another(&gateway, &version).await?;
        gateway.terminate()?;
        gateway.exit_code().await?;
        for entry in fs::read_dir(state.path())? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            assert!(!name.starts_with("files-"), "{name} is left");
        }
        Ok(())
    })
}
