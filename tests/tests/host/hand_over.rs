//! One process takes the place of another: by its listening sockets, and not by SIGHUP.

use std::process::{Command, Stdio};

use anyhow::Result;
use rustix::process::{Pid, Signal, kill_process};
use spillway_tests::{
    Gateway, Options,
    client::{End, Request},
    embedded_only, run, spillway_binary,
    standin::{Behaviour, EventStream, Gate, StandinDify},
    until,
};

fn yaml(dify: &StandinDify) -> String {
    format!(
        "agents:\n  - name: dify\n    services: {{ api: \"{}\" }}\n",
        dify.api.url()
    )
}

#[test]
fn another_process_takes_over_without_a_refused_connection() -> Result<()> {
    if !embedded_only("Spin hands nothing over") {
        return Ok(());
    }
    run(async {
        let dify = StandinDify::start()?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("hand-over");
        let file = file.to_string_lossy();
        let options = |listen| Options {
            listen,
            ..Options::default().arguments(&["--hand-over", &file])
        };
        let mut old = Gateway::start(&yaml(&dify), options(None)).await?;
        let gate = Gate::new();
        let stream = Behaviour::Stream(EventStream::new().gated(&gate));
        dify.api.when("open-stream", stream);
        gate.release();
        let body =
            serde_json::json!({"query": "open-stream", "response_mode": "streaming", "user": "u"});
        let mut stream = old
            .begin(&Request::json("/v1/chat-messages", &body).bearer("app-1"))
            .await?;
        assert!(stream.next_block().await?.is_some());

        let address = old.address();
        let asking = async {
            for _ in 0..2_000 {
                let answer = old.call(&Request::get("/api/x")).await?;
                assert_eq!(answer.status(), 200);
            }
            anyhow::Ok(())
        };
        let configuration = yaml(&dify);
        let (asked, new) = tokio::join!(
            asking,
            Gateway::start(&configuration, options(Some(address)))
        );
        asked?;
        let new = new?;
        until("the old process to see it", async || {
            Ok(old.log().contains("taken over").then_some(()))
        })
        .await?;
        for _ in 0..100 {
            assert_eq!(new.call(&Request::get("/api/x")).await?.status(), 200);
        }
        gate.open();
        let stream = stream.finish().await?;
        assert_eq!(stream.end, End::Clean, "the stream was cut");
        assert_eq!(old.exit_code().await?, Some(0));
        assert_eq!(new.call(&Request::get("/api/x")).await?.status(), 200);
        Ok(())
    })
}

#[test]
fn a_successor_that_is_stopped_while_it_starts_takes_nothing_over() -> Result<()> {
    if !embedded_only("Spin hands nothing over") {
        return Ok(());
    }
    run(async {
        let dify = StandinDify::start()?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("hand-over");
        let options = Options::default().arguments(&["--hand-over", &file.to_string_lossy()]);
        let old = Gateway::start(&yaml(&dify), options).await?;
        // Without compiled components it starts for seconds.
        let mut successor = Command::new(spillway_binary()?)
            .args([
                "up",
                "-f",
                "spin.toml",
                "--listen",
                &old.address().to_string(),
            ])
            .arg("--state-dir")
            .arg(folder.path())
            .arg("--hand-over")
            .arg(&file)
            .env_remove("SPILLWAY_CACHE_DIR")
            .current_dir(old.directory())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let process = Pid::from_child(&successor);
        let status = format!("/proc/{}/status", successor.id());
        until("the successor to mind signals", async || {
            Ok(minds_termination(&std::fs::read_to_string(&status)?).then_some(()))
        })
        .await?;
        kill_process(process, Signal::TERM)?;
        let ended = until("its end", async || Ok(successor.try_wait()?)).await?;
        assert_eq!(ended.code(), Some(0));
        assert_eq!(old.call(&Request::get("/api/x")).await?.status(), 200);
        assert!(!old.log().contains("taken over"), "{}", old.log());
        Ok(())
    })
}

/// Whether a process has a handler for SIGTERM, the fifteenth signal, by its status (proc(5)).
fn minds_termination(status: &str) -> bool {
    let mut fields = status
        .lines()
        .filter_map(|line| line.strip_prefix("SigCgt:"));
    let caught = fields
        .next()
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask & (1 << 14) != 0)
}

#[test]
fn sighup_ends_nothing() -> Result<()> {
    if !embedded_only("Spin ends") {
        return Ok(());
    }
    run(async {
        let dify = StandinDify::start()?;
        let gateway = Gateway::start(&yaml(&dify), Options::default()).await?;
        gateway.hang_up()?;
        until("the signal to be told of", async || {
            Ok(gateway.log().contains("SIGHUP").then_some(()))
        })
        .await?;
        assert_eq!(gateway.call(&Request::get("/api/x")).await?.status(), 200);
        Ok(())
    })
}
