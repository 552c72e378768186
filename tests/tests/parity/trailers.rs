//! What nginx loses and issue 4 wants kept: trailers.

use anyhow::{Context, Result};
use bytes::Bytes;
use spillway_tests::{
    Gateway, Options,
    client::{Body, Request},
    run,
    standin::{Behaviour, Reply, StandinDify},
};

use crate::agents;

#[test]
fn trailers_are_kept_both_ways() -> Result<()> {
    run(async {
        let dify = StandinDify::start()?;
        let gateway = Gateway::start(&agents(&dify), Options::default()).await?;
        let reply = Reply::new(200)
            .header("Trailer", "X-Answered")
            .body("hello")
            .chunked(2)
            .trailer("X-Answered", "yes");
        dify.api.next(Behaviour::Reply(reply));
        let trailers = vec![("X-Asked".to_owned(), "yes".to_owned())];
        let request = Request::new("POST", "/api/x")
            .header("TE", "trailers")
            .header("Trailer", "X-Asked")
            .body(Body::Trailed(vec![Bytes::from("hello")], trailers));
        let answer = gateway.call(&request).await?;
        let lower = |trailers: &[(String, String)]| -> Vec<String> {
            let line = |(name, value): &(String, String)| {
                format!("{}: {value}", name.to_ascii_lowercase())
            };
            trailers.iter().map(line).collect()
        };
        assert_eq!(lower(&answer.trailers), ["x-answered: yes"]);
        let seen = dify.api.requests();
        let seen = seen.last().context("nothing arrived")?;
        assert_eq!(lower(&seen.trailers), ["x-asked: yes"]);
        Ok(())
    })
}
