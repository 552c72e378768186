//! A provider that takes the connection and says nothing more: a TLS handshake that never comes.

use anyhow::Result;
use spillway_tests::{Gateway, Host, Options, provider, run, standin::StandinModel, until};
use tokio::net::TcpListener;

use crate::chat;

#[test]
fn a_handshake_that_never_comes_is_no_connection() -> Result<()> {
    run(async {
        // Nobody accepts here, but the system lets connections stand.
        let silent = TcpListener::bind("127.0.0.1:0").await?;
        let vendor = StandinModel::start("vendor")?;
        let yaml = format!(
            r#"
models:
  - name: llm
    routes: [{{ targets: [{{ provider: silent, timeout: 4s }}, {{ provider: vendor }}] }}]
providers:
  - {{ name: silent, base_url: "https://{}/v1" }}
  - {{ name: vendor, base_url: "{}" }}
"#,
            silent.local_addr()?,
            vendor.base_url()
        );
        let options = Options {
            allowed_outbound_hosts: Some(vec![
                "https://127.0.0.1:*".to_owned(),
                "http://127.0.0.1:*".to_owned(),
            ]),
            ..Options::default()
        };
        let gateway = Gateway::start(&yaml, options).await?;
        let answer = gateway.call(&chat("m", "hi")).await?;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(provider(&answer.head).as_deref(), Some("vendor"));
        // Spin's connect timeout ends where TLS begins, so there the whole time is used up.
        let outcome = match Host::chosen() {
            Host::Spin => "outcome=timeout",
            Host::Embedded | Host::Harsh => "outcome=connect_error",
        };
        until(outcome, async || {
            Ok(gateway.log().contains(outcome).then_some(()))
        })
        .await
    })
}
