//! A gateway over its life: what it may reach, a restart, its end.

use anyhow::Result;
use spillway_tests::{
    Chat, Gateway, Options, Reason, assert_dify_error,
    client::{Connection, End, Request},
    embedded_only,
    metrics::{self, REQUESTS},
    reason, run,
    standin::{Behaviour, EventStream, Gate, StandinDify, StandinError, StandinModel, chat_text},
    stream_request, until,
};

#[test]
fn a_host_that_is_not_allowed_is_a_502_that_names_it() -> Result<()> {
    run(async {
        let dify = StandinDify::start()?;
        let yaml = format!(
            "agents:\n  - name: dify\n    services: {{ api: \"{}\" }}\n",
            dify.api.url()
        );
        let options = Options {
            allowed_outbound_hosts: Some(vec!["http://127.0.0.1:1".to_owned()]),
            ..Options::default()
        };
        let gateway = Gateway::start(&yaml, options).await?;
        let answer = gateway
            .call(&Request::get("/v1/info").bearer("app-1"))
            .await?;
        assert_dify_error(&answer, 502);
        reason(&answer.head, Reason::HostNotAllowed);
        let address = dify.api.address().to_string();
        let told = answer.text().contains(&address) || gateway.log().contains(&address);
        assert!(
            told,
            "{address} is named neither in the answer nor in the log: {}",
            answer.text()
        );
        assert!(dify.api.requests().is_empty());
        Ok(())
    })
}

#[test]
fn the_embedded_host_lets_components_reach_what_the_configuration_names() -> Result<()> {
    if !embedded_only("Spin goes by the manifest alone") {
        return Ok(());
    }
    run(async {
        let (dify, vendor) = (StandinDify::start()?, StandinModel::start("vendor")?);
        let yaml = format!(
            r#"
agents:
  - {{ name: dify, services: {{ api: "{{{{ dify_address }}}}" }} }}
models:
  - {{ name: llm, routes: [{{ targets: [{{ provider: vendor }}] }}] }}
providers:
  - {{ name: vendor, base_url: "{}" }}
"#,
            vendor.base_url()
        );
        let options = Options {
            allowed_outbound_hosts: Some(Vec::new()),
            grants_hosts: true,
            ..Options::default()
        };
        let gateway =
            Gateway::start(&yaml, options.secret("dify_address", &dify.api.url())).await?;
        let info = Request::get("/v1/info").bearer("app-1");
        assert_eq!(gateway.call(&info).await?.status(), 200);
        let chat = Request::json("/llm/v1/chat/completions", &stream_request("m", "hi"));
        assert_eq!(gateway.call(&chat).await?.status(), 200);
        Ok(())
    })
}

/// A connection that is kept for one service's next request does not keep another service waiting.
#[test]
fn idle_connections_make_room_for_others() -> Result<()> {
    if !embedded_only("Spin keeps them until they have been idle for long") {
        return Ok(());
    }
    run(async {
        let dify = StandinDify::start()?;
        let yaml = format!(
            "agents:\n  - {{ name: dify, services: {{ api: \"{}\", web: \"{}\" }} }}\n",
            dify.api.url(),
            dify.web.url()
        );
        let options = Options {
            runtime_config: Some("[outbound_http]\nmax_connections = 1\n".to_owned()),
            ..Options::default()
        };
        let gateway = Gateway::start(&yaml, options).await?;
        for _ in 0..3 {
            for path in ["/v1/info", "/apps"] {
                let answer = gateway.call(&Request::get(path).bearer("app-1")).await?;
                assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
            }
        }
        Ok(())
    })
}

#[test]
fn counts_survive_a_restart() -> Result<()> {
    run(async {
        let dify = StandinDify::start()?;
        let yaml = format!(
            "agents:\n  - name: dify\n    services: {{ api: \"{}\" }}\n",
            dify.api.url()
        );
        let state = tempfile::tempdir()?;
        for expected in [10.0, 20.0] {
            let options = Options {
                state_directory: Some(state.path().to_path_buf()),
                ..Options::default()
            };
            let gateway = Gateway::start(&yaml, options).await?;
            for _ in 0..10 {
                assert_eq!(gateway.call(&Request::get("/api/x")).await?.status(), 200);
            }
            let what = format!("{expected} requests in the metrics");
            until(&what, async || {
                let page = gateway.call(&Request::get("/_gateway/metrics")).await?;
                let samples = metrics::parse(&page.text()).map_err(anyhow::Error::msg)?;
                let total = metrics::total(&samples, REQUESTS, &[("api", "agent")]);
                Ok((total == expected).then_some(()))
            })
            .await?;
            gateway.stop();
        }
        Ok(())
    })
}

#[test]
fn asked_to_end_it_lets_a_stream_end_first() -> Result<()> {
    run(async {
        if !embedded_only("Spin ends at once") {
            return Ok(());
        }
        let (model, dify) = (StandinModel::start("vendor")?, StandinDify::start()?);
        let yaml = format!(
            r#"
agents:
  - name: dify
    services: {{ api: "{}" }}
models:
  - name: llm
    routes:
      - targets: [{{ provider: vendor }}]
providers:
  - {{ name: vendor, base_url: "{}" }}
"#,
            dify.api.url(),
            model.base_url()
        );
        let mut gateway = Gateway::start(&yaml, Options::default()).await?;
        let (of_model, of_dify) = (Gate::new(), Gate::new());
        model.always(Behaviour::Stream(EventStream::new().gated(&of_model)));
        dify.api
            .always(Behaviour::Stream(EventStream::new().gated(&of_dify)));
        (0..3).for_each(|_| of_model.release());
        let chat = Request::json("/llm/v1/chat/completions", &stream_request("m", "hi"));
        let mut chat = gateway.begin(&chat).await?;
        assert!(chat.next_block().await?.is_some());
        of_dify.release();
        let run = serde_json::json!({"query": "hi", "response_mode": "streaming", "user": "u"});
        let mut run = gateway
            .begin(&Request::json("/api/chat-messages", &run))
            .await?;
        assert!(run.next_block().await?.is_some());

        gateway.terminate()?;
        let address = gateway.address();
        until("new connections to be refused", async || {
            let refused = |error: StandinError| error.is_refused();
            Ok(Connection::open(address)
                .await
                .is_err_and(refused)
                .then_some(()))
        })
        .await?;
        of_model.open();
        of_dify.open();
        let answer = chat.finish().await?;
        assert_eq!(answer.end, End::Clean, "the stream was cut");
        assert_eq!(Chat::read(&answer.text()).text(), chat_text("m", "hi"));
        let answer = run.finish().await?;
        assert_eq!(answer.end, End::Clean, "the stream was cut");
        assert!(answer.text().contains("message_end"), "{}", answer.text());
        assert_eq!(gateway.exit_code().await?, Some(0));
        Ok(())
    })
}

/// The component learns only that an exchange broke; the host's log says why.
#[test]
fn what_broke_an_exchange_stands_in_the_log() -> Result<()> {
    if !embedded_only("it is the embedded host's own log") {
        return Ok(());
    }
    run(async {
        for (behaviour, words) in [
            (Behaviour::reset_after_events(1), "reset"),
            (Behaviour::Garbage, "invalid HTTP"),
        ] {
            let vendor = StandinModel::start("vendor")?;
            vendor.always(behaviour);
            let yaml = format!(
                "models:\n  - {{ name: llm, routes: [{{ targets: [{{ provider: vendor }}] }}] }}\nproviders:\n  - {{ name: vendor, base_url: \"{}\" }}\n",
                vendor.base_url()
            );
            let gateway = Gateway::start(&yaml, Options::default()).await?;
            let chat = Request::json("/llm/v1/chat/completions", &stream_request("m", "x"));
            let _ = gateway.call(&chat).await?;
            let place = vendor.base_url();
            let place = place.trim_start_matches("http://").trim_end_matches("/v1");
            // Not the component's line, which says what became of the call.
            let own = format!("[model] {place}: ");
            until("the log to say it", async || {
                let log = gateway.log();
                let mut told = log.lines().filter_map(|line| line.split_once(&own));
                Ok(told.any(|(_, why)| why.contains(words)).then_some(()))
            })
            .await?;
        }
        Ok(())
    })
}
