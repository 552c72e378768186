//! A service that is replaced: its name stays, its address is another one, as containers get one at every start.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Result;
use spillway_tests::{
    Gateway, HostName, Options, Reason, assert_dify_error,
    client::Request,
    embedded_only, reason, run,
    standin::{Behaviour, Gate, StandinDify},
};

const NAME: &str = "api.dify.test";
const FIRST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SECOND: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const THIRD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));

/// A gateway that knows Dify's back end by name only.
async fn gateway(dify: &StandinDify, name: &HostName) -> Result<Gateway> {
    gateway_with(dify, name, None).await
}

/// The same with this `runtime-config.toml`.
async fn gateway_with(
    dify: &StandinDify,
    name: &HostName,
    runtime_config: Option<&str>,
) -> Result<Gateway> {
    let place = format!("http://{NAME}:{}", dify.api.address().port());
    let yaml = format!(
        "agents:\n  - name: dify\n    services: {{ api: \"{place}\" }}\n    timeouts: {{ first_byte: 1s }}\n"
    );
    let options = Options {
        host_names: Some(name.file()),
        allowed_outbound_hosts: Some(vec![place]),
        runtime_config: runtime_config.map(str::to_owned),
        ..Options::default()
    };
    Gateway::start(&yaml, options).await
}

/// Requests with and without a body, repeatable and not.
fn requests() -> [Request; 3] {
    [
        Request::get("/v1/info").bearer("app-1"),
        Request::post("/v1/x", "application/json", "{}").bearer("app-1"),
        Request::new("DELETE", "/v1/x").bearer("app-1"),
    ]
}

/// The old one keeps its connections and answers no more; the name leads to the new one.
async fn replace_silently(
    gone: &StandinDify,
    new: &StandinDify,
    name: &mut HostName,
) -> Result<()> {
    gone.api.always(Behaviour::Silent);
    new.api.kill().await;
    let port = gone.api.address().port();
    new.api.restart_at(SocketAddr::new(SECOND, port))?;
    name.lead_to(SECOND)
}

#[test]
fn a_service_that_restarts_on_another_address_is_found_by_the_next_request() -> Result<()> {
    run(async {
        for request in requests() {
            let dify = StandinDify::start()?;
            let mut name = HostName::new(NAME, FIRST)?;
            let gateway = gateway(&dify, &name).await?;
            let port = dify.api.address().port();
            for next in [SECOND, THIRD, FIRST] {
                assert!((200..300).contains(&gateway.call(&request).await?.status()));
                // It takes its connections with it, and nobody listens at its old address any more.
                dify.api.kill().await;
                dify.api.restart_at(SocketAddr::new(next, port))?;
                name.lead_to(next)?;
                let answer = gateway.call(&request).await?;
                assert!(
                    (200..300).contains(&answer.status()),
                    "{} at {next}: {}",
                    request.method,
                    answer.text()
                );
            }
        }
        Ok(())
    })
}

/// What becomes of requests to a service that is gone without a word; `false` where the connection to it was not kept
/// yet, so that nothing was asked on it: an answer may be read to its end a moment before.
async fn is_told_once(request: &Request) -> Result<bool> {
    let (gone, new) = (StandinDify::start()?, StandinDify::start()?);
    let mut name = HostName::new(NAME, FIRST)?;
    let gateway = gateway(&gone, &name).await?;
    assert!((200..300).contains(&gateway.call(request).await?.status()));
    replace_silently(&gone, &new, &mut name).await?;
    let waited = gateway.call(request).await?;
    if gone.api.requests().len() == 1 {
        return Ok(false);
    }
    assert_dify_error(&waited, 504);
    reason(&waited.head, Reason::UpstreamTimeout);
    let answer = gateway.call(request).await?;
    assert!(
        (200..300).contains(&answer.status()),
        "{}: {}",
        request.method,
        answer.text()
    );
    assert_eq!(new.api.requests().len(), 1, "{}", request.method);
    Ok(true)
}

#[test]
fn a_service_that_is_gone_without_a_word_costs_one_request_its_time_and_the_next_one_nothing()
-> Result<()> {
    run(async {
        for request in requests() {
            let mut attempts = 0;
            while !is_told_once(&request).await? {
                attempts += 1;
                assert!(attempts < 50, "no connection is ever kept");
            }
        }
        Ok(())
    })
}

#[test]
fn without_kept_connections_a_service_that_is_gone_without_a_word_costs_nothing() -> Result<()> {
    run(async {
        let (gone, new) = (StandinDify::start()?, StandinDify::start()?);
        let mut name = HostName::new(NAME, FIRST)?;
        let unpooled = Some("[outbound_http]\nconnection_pooling = false\n");
        let gateway = gateway_with(&gone, &name, unpooled).await?;
        for request in requests() {
            assert!((200..300).contains(&gateway.call(&request).await?.status()));
        }
        assert_eq!(gone.api.connections(), 3, "one each");
        replace_silently(&gone, &new, &mut name).await?;
        for request in requests() {
            assert!((200..300).contains(&gateway.call(&request).await?.status()));
        }
        Ok(())
    })
}

#[test]
fn a_service_that_is_gone_without_a_word_costs_one_request_its_time_however_many_connections_it_had()
-> Result<()> {
    run(async {
        if !embedded_only("Spin keeps the other connections, out of a component's reach") {
            return Ok(());
        }
        let (gone, new) = (StandinDify::start()?, StandinDify::start()?);
        let mut name = HostName::new(NAME, FIRST)?;
        let gateway = gateway(&gone, &name).await?;
        let request = Request::get("/v1/info").bearer("app-1");
        // Alone: the library that leads names elsewhere reads its file with the first question, and not safely from
        // several threads (a crash in `hsearch_r` was seen).
        assert_eq!(gateway.call(&request).await?.status(), 200);
        // Three at once, so that three connections are kept at least.
        let gate = Gate::new();
        gone.api.always(Behaviour::held(&gate, Behaviour::Normal));
        let together = async {
            gone.api.wait_for_requests(4).await?;
            gate.open();
            anyhow::Ok(())
        };
        let call = || gateway.call(&request);
        let (first, second, third, together) = tokio::join!(call(), call(), call(), together);
        together?;
        for answer in [first, second, third] {
            assert_eq!(answer?.status(), 200);
        }
        assert!(gone.api.connections() >= 3);
        replace_silently(&gone, &new, &mut name).await?;
        assert_dify_error(&gateway.call(&request).await?, 504);
        for _ in 0..5 {
            let answer = gateway.call(&request).await?;
            assert_eq!(answer.status(), 200, "{}", answer.text());
        }
        Ok(())
    })
}
