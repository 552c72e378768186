//! Metrics: the totals of all instances.

use std::sync::Arc;

use anyhow::Result;
use spillway_tests::{
    Reason, chat_request,
    client::Request,
    metrics::{self, DURATIONS, REQUESTS, Sample, TOKENS},
    run,
    standin::{Behaviour, usage},
    stream_request, until,
};

use crate::{Metered, call_at_once};

#[test]
fn totals_of_all_instances_are_right() -> Result<()> {
    run(async {
        let metered = Arc::new(Metered::start().await?);
        let chat = |model: &str| {
            Request::json(
                "/llm/v1/chat/completions",
                &chat_request(model, "hello there"),
            )
        };
        let stream = Request::json(
            "/llm/v1/chat/completions",
            &stream_request("gpt-4o", "hello there"),
        );
        call_at_once(&metered, 80, &chat("gpt-4o").bearer("sk-1")).await?;
        call_at_once(&metered, 40, &stream.bearer("sk-1")).await?;
        call_at_once(&metered, 24, &chat("gpt-old").bearer("sk-1")).await?;
        call_at_once(&metered, 16, &chat("gpt-4o").bearer("sk-wrong")).await?;
        call_at_once(&metered, 8, &chat("unknown").bearer("sk-1")).await?;
        call_at_once(&metered, 56, &Request::get("/api/x")).await?;

        let reason = |reason: Reason| ("reason", reason.text());
        let llm = ("api", "model");
        metered
            .wait_for(
                REQUESTS,
                &[llm, ("route", "chat"), reason(Reason::Ok)],
                120.0,
            )
            .await?;
        metered
            .wait_for(
                REQUESTS,
                &[llm, ("route", "rescued"), reason(Reason::Fallback)],
                24.0,
            )
            .await?;
        metered
            .wait_for(REQUESTS, &[llm, reason(Reason::Unauthorized)], 16.0)
            .await?;
        metered
            .wait_for(REQUESTS, &[llm, reason(Reason::NotFound)], 8.0)
            .await?;
        metered
            .wait_for(REQUESTS, &[("api", "agent"), reason(Reason::Ok)], 56.0)
            .await?;

        let per_call = usage(&chat_request("vendor-model", "hello there"));
        for (kind, tokens) in [
            ("input", per_call.prompt_tokens),
            ("output", per_call.completion_tokens),
        ] {
            let labels = [("model", "vendor-model"), ("kind", kind)];
            metered
                .wait_for(TOKENS, &labels, 120.0 * f64::from(u32::try_from(tokens)?))
                .await?;
        }
        let rescued = usage(&chat_request("rescue-model", "hello there"));
        let labels = [("model", "rescue-model"), ("kind", "output")];
        let tokens = f64::from(u32::try_from(rescued.completion_tokens)?);
        metered.wait_for(TOKENS, &labels, 24.0 * tokens).await?;
        Ok(())
    })
}

#[test]
fn durations_are_a_histogram() -> Result<()> {
    run(async {
        let metered = Arc::new(Metered::start().await?);
        call_at_once(&metered, 40, &Request::get("/api/x")).await?;
        let api = ("name", "dify");
        let samples = metered
            .wait_for(&format!("{DURATIONS}_count"), &[api], 40.0)
            .await?;
        let buckets = format!("{DURATIONS}_bucket");
        let mut bounds: Vec<f64> = samples
            .iter()
            .filter(|sample| sample.name == buckets && sample.has(&[api]))
            .filter_map(|sample| sample.labels.get("le"))
            .map(|bound| bound.parse().unwrap_or(f64::INFINITY))
            .collect();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        assert!(bounds.len() > 3, "too few bounds: {bounds:?}");
        assert_eq!(
            bounds.last(),
            Some(&f64::INFINITY),
            "the last bound is +Inf"
        );
        assert_eq!(
            metrics::total(&samples, &buckets, &[api, ("le", "+Inf")]),
            40.0
        );
        let at = |bound: f64| {
            let within = samples
                .iter()
                .filter(|sample| sample.name == buckets && sample.has(&[api]));
            let equal = |sample: &&Sample| {
                sample.labels.get("le").and_then(|le| le.parse().ok()) == Some(bound)
            };
            within.filter(equal).map(|sample| sample.value).sum::<f64>()
        };
        let counts: Vec<f64> = bounds.iter().map(|bound| at(*bound)).collect();
        assert!(counts.is_sorted(), "the buckets are cumulative: {counts:?}");
        // By a clock that ticks every 10 ms, as that of the harsh host, most requests take no time at all.
        until("the sum of the durations", async || {
            call_at_once(&metered, 8, &Request::get("/api/x")).await?;
            let samples = metered.metrics().await?;
            let sum = metrics::total(&samples, &format!("{DURATIONS}_sum"), &[api]);
            Ok((sum > 0.0).then_some(()))
        })
        .await
    })
}

#[test]
fn failures_of_the_services_are_counted_by_reason() -> Result<()> {
    run(async {
        let metered = Arc::new(Metered::start().await?);
        metered.model.always(Behaviour::Error(500));
        metered.dify.api.kill().await;
        let chat =
            Request::json("/llm/v1/chat/completions", &chat_request("gpt-4o", "hi")).bearer("sk-1");
        call_at_once(&metered, 8, &chat).await?;
        call_at_once(&metered, 8, &Request::get("/api/x")).await?;
        let reason = |reason: Reason| ("reason", reason.text());
        metered
            .wait_for(
                REQUESTS,
                &[("api", "model"), reason(Reason::UpstreamStatus)],
                8.0,
            )
            .await?;
        metered
            .wait_for(
                REQUESTS,
                &[("api", "agent"), reason(Reason::UpstreamRefused)],
                8.0,
            )
            .await?;
        Ok(())
    })
}
