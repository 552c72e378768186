//! One process takes the place of another: by its listening sockets, and not by SIGHUP.

use anyhow::Result;
use spillway_tests::{
    Gateway, Options,
    client::{End, Request},
    embedded_only, run,
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
