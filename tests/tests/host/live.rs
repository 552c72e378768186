//! A configuration, a secret and a certificate that are replaced while the gateway serves.

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
        let body =
            serde_json::json!({"query": "open-stream", "response_mode": "streaming", "user": "u"});
        let request = Request::json("/v1/chat-messages", &body).bearer("app-1");
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
fn a_broken_file_changes_nothing_and_says_why() -> Result<()> {
    if !embedded_only("Spin reads its configuration once") {
        return Ok(());
    }
    run(async {
        let dify = StandinDify::start()?;
        let right = yaml(&dify);
        let gateway = Gateway::start(&right, watching()).await?;
        let version = in_force(&gateway).await?;
        let broken = [
            ("servces: {}\n", "1:1"),
            // Read as a whole it would serve nobody.
            ("", "publishes nothing"),
            (
                "agents:\n  - name: dify\n    services: { api: \"{{ api }}\" }\n",
                "`api`",
            ),
        ];
        for (text, why) in broken {
            gateway.configure(text)?;
            until(why, async || Ok(gateway.log().contains(why).then_some(()))).await?;
            until("health to tell of it", async || {
                Ok(in_force(&gateway).await?.1.then_some(()))
            })
            .await?;
            assert_eq!(in_force(&gateway).await?.0, version.0);
            assert_eq!(gateway.call(&Request::get("/api/x")).await?.status(), 200);
        }
        fs::remove_file(gateway.directory().join("gateway.yaml"))?;
        until("the log to name the file", async || {
            Ok(gateway.log().contains("cannot be read").then_some(()))
        })
        .await?;
        assert_eq!(gateway.call(&Request::get("/api/x")).await?.status(), 200);
        gateway.configure(&right)?;
        until("health to be as before", async || {
            Ok((in_force(&gateway).await? == version).then_some(()))
        })
        .await?;
        let page = gateway.call(&Request::get("/_gateway/metrics")).await?;
        let samples = metrics::parse(&page.text()).map_err(anyhow::Error::msg)?;
        let of = |name: &str, labels: &[(&str, &str)]| metrics::total(&samples, name, labels);
        let reloads = "spillway_config_reloads_total";
        assert_eq!(of(reloads, &[("result", "refused")]), 4.0);
        assert_eq!(of(reloads, &[("result", "loaded")]), 0.0);
        assert_eq!(of("spillway_config_info", &[("version", &version.0)]), 1.0);
        assert_eq!(of("spillway_config_last_reload_successful", &[]), 1.0);
        assert!(of("spillway_config_last_reload_success_timestamp_seconds", &[]) > 1e9);
        Ok(())
    })
}

fn models(vendor: &StandinModel) -> String {
    format!(
        r#"
models: [{{ name: llm, routes: [{{ targets: [{{ provider: vendor }}] }}] }}]
providers: [{{ name: vendor, base_url: "{}", api_keys: ["{{{{ vendor_key }}}}"] }}]
"#,
        vendor.base_url()
    )
}

#[test]
fn sighup_has_a_secret_that_was_replaced_used_at_once() -> Result<()> {
    if !embedded_only("Spin reads its configuration once") {
        return Ok(());
    }
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let folder = tempfile::tempdir()?;
        let secrets = folder.path().join("secrets.json");
        let key_is = |key: &str| -> Result<()> {
            let text = serde_json::json!({ "vendor_key": key }).to_string();
            Ok(fs::write(&secrets, text)?)
        };
        key_is("sk-first")?;
        let given = format!("secrets=@{}", secrets.display());
        let options = watching().arguments(&["--variable", &given]);
        let gateway = Gateway::start(&models(&vendor), options).await?;
        gateway.hang_up()?;
        until("SIGHUP to find nothing new", async || {
            Ok(gateway.log().contains("nothing has changed").then_some(()))
        })
        .await?;
        for key in ["sk-first", "sk-second"] {
            key_is(key)?;
            gateway.hang_up()?;
            let chat = Request::json("/llm/v1/chat/completions", &stream_request("m", "hi"));
            until(key, async || {
                assert_eq!(gateway.call(&chat).await?.status(), 200);
                let requests = vendor.requests();
                let last = requests.last().context("no request")?;
                let used = last.header("authorization").unwrap_or_default();
                Ok(used.ends_with(key).then_some(()))
            })
            .await?;
        }
        let log = gateway.log();
        assert!(
            !log.contains("sk-first") && !log.contains("sk-second"),
            "{log}"
        );
        Ok(())
    })
}

fn show(certificates: &Certificates, folder: &Path) -> Result<()> {
    fs::copy(certificates.server_certificate(), folder.join("server.pem"))?;
    fs::copy(certificates.server_key(), folder.join("server.key"))?;
    Ok(())
}

#[test]
fn a_certificate_is_replaced_under_load() -> Result<()> {
    if !embedded_only("Spin reads its certificate once") {
        return Ok(());
    }
    run(async {
        let dify = StandinDify::start()?;
        let both = [Certificates::make().await?, Certificates::make().await?];
        let folder = tempfile::tempdir()?;
        show(&both[0], folder.path())?;
        let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let options = Options::default().arguments(&[
            "--tls-cert",
            &file("server.pem"),
            "--tls-key",
            &file("server.key"),
            "--tls-listen",
            "127.0.0.1:0",
        ]);
        let gateway = Gateway::start(&yaml(&dify), options).await?;
        let log = gateway.log();
        let listens = log.split("Serving https://").nth(1).context("no HTTPS")?;
        let address: SocketAddr = listens.lines().next().unwrap_or_default().parse()?;
        let tunnel = TlsTunnel::to(address, &[&both[0], &both[1]]).await?;
        let load = Load::on(tunnel.address());
        let shown = async || {
            let connection = Connection::open(tunnel.address()).await?;
            let answer = connection.call(&Request::get("/api/x")).await?;
            assert_eq!(answer.finish().await?.status(), 200);
            tunnel.certificate()
        };
        let first = shown().await?;
        // The certificate of one, and still the key of the other.
        fs::copy(
            both[1].server_certificate(),
            folder.path().join("server.pem"),
        )?;
        until("the log to tell of the pair", async || {
            Ok(gateway
                .log()
                .contains("do not belong together")
                .then_some(()))
        })
        .await?;
        assert_eq!(shown().await?, first);
        show(&both[1], folder.path())?;
        let second = until("the other certificate", async || {
            let now = shown().await?;
            Ok((now != first).then_some(now))
        })
        .await?;
        assert_eq!(shown().await?, second);
        assert!(load.end().await? > 0);
        Ok(())
    })
}
