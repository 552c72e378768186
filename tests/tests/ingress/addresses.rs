//! `X-Forwarded-*`: right, and not to be forged.

use anyhow::Result;
use spillway_tests::{client::Request, run, standin::RecordedRequest};

use crate::{Ingress, agents};

/// A request that claims much about where it came from.
fn claims() -> Request {
    Request::get("/api/x")
        .header("Host", "dify.example.com:8443")
        .header("X-Forwarded-For", "203.0.113.7, 198.51.100.1")
        .header("X-Forwarded-For", "198.51.100.2")
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Host", "public.example.com")
        .header("X-Forwarded-Port", "443")
        .header("X-Real-IP", "203.0.113.8")
        .header("CF-Connecting-IP", "203.0.113.9")
        .header("Forwarded", "for=203.0.113.10;proto=https")
}

/// A gateway that believes proxies in these networks.
async fn trusting(networks: &str) -> Result<Ingress> {
    Ingress::start(|dify| {
        format!(
            "trusted_proxies: {networks}\n{}",
            agents(&[("dify", "", dify)])
        )
    })
    .await
}

fn forwarded(seen: &RecordedRequest, name: &str) -> String {
    seen.header(&format!("x-forwarded-{name}"))
        .unwrap_or_default()
}

#[test]
fn the_client_is_told_upstream() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        let (seen, _) = ingress
            .forwarded(Request::get("/api/x").header("Host", "dify.example.com"))
            .await?;
        assert_eq!(forwarded(&seen, "for"), "127.0.0.1");
        assert_eq!(forwarded(&seen, "proto"), "http");
        assert_eq!(forwarded(&seen, "host"), "dify.example.com");
        let (seen, _) = ingress.forwarded(Request::get("/api/x")).await?;
        assert_eq!(
            forwarded(&seen, "host"),
            ingress.gateway.address().to_string()
        );
        assert_eq!(
            forwarded(&seen, "port"),
            ingress.gateway.address().port().to_string()
        );
        Ok(())
    })
}

#[test]
fn nobody_believes_a_client() -> Result<()> {
    run(async {
        let ingress = Ingress::shared().await?;
        let (seen, _) = ingress.forwarded(claims()).await?;
        assert_eq!(seen.header_values("x-forwarded-for"), ["127.0.0.1"]);
        assert_eq!(seen.header_values("x-forwarded-proto"), ["http"]);
        assert_eq!(
            seen.header_values("x-forwarded-host"),
            ["dify.example.com:8443"]
        );
        assert_ne!(forwarded(&seen, "port"), "443");
        let everything = format!("{:?}", seen.headers);
        for forged in ["203.0.113.", "198.51.100.", "public.example.com"] {
            assert!(
                !everything.contains(forged),
                "{forged} went on: {everything}"
            );
        }
        Ok(())
    })
}

#[test]
fn a_trusted_proxy_is_believed_and_added_to_the_list() -> Result<()> {
    run(async {
        let ingress = trusting("[10.0.0.0/8, 127.0.0.0/8]").await?;
        let (seen, _) = ingress.forwarded(claims()).await?;
        let hops = forwarded(&seen, "for");
        // What stands left of the first address that is no trusted proxy, anybody could have written.
        assert_eq!(hops, "198.51.100.2, 127.0.0.1");
        assert_eq!(forwarded(&seen, "proto"), "https");
        assert_eq!(forwarded(&seen, "host"), "public.example.com");
        assert_eq!(forwarded(&seen, "port"), "443");
        // Dify believes it before X-Forwarded-For, and a proxy that does not know it lets it pass.
        assert_eq!(seen.header("cf-connecting-ip"), None);

        let (seen, _) = ingress.forwarded(Request::get("/api/x")).await?;
        assert_eq!(forwarded(&seen, "for"), "127.0.0.1");
        assert_eq!(forwarded(&seen, "proto"), "http");
        assert_eq!(
            forwarded(&seen, "host"),
            ingress.gateway.address().to_string()
        );
        Ok(())
    })
}

#[test]
fn a_proxy_that_is_not_in_the_list_is_not_believed() -> Result<()> {
    run(async {
        let ingress = trusting("[10.0.0.0/8]").await?;
        let (seen, _) = ingress.forwarded(claims()).await?;
        assert_eq!(seen.header_values("x-forwarded-for"), ["127.0.0.1"]);
        assert_eq!(seen.header_values("x-forwarded-proto"), ["http"]);
        Ok(())
    })
}
