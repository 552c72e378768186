//! Records of every kind.

use std::time::Duration;

use http::Method;
use spillway_telemetry::{
    AccessRecord, ApiKind, AttemptDetail, CallDetail, CallTokens, Detail, Reason, RetrievalDetail,
    RunDetail, RunTokens,
};

fn record(api: ApiKind, name: &'static str, status: u16, reason: Reason, ms: u64) -> AccessRecord {
    let mut record = AccessRecord::new(api, Method::POST, "/v1/a b", "4f1c".to_owned());
    record.name = name.into();
    record.status = status;
    record.reason = reason;
    record.took = Duration::from_millis(ms);
    record
}

pub fn all() -> Vec<AccessRecord> {
    let page = AccessRecord {
        route: "/".into(),
        method: Method::GET,
        client: Some([10, 0, 0, 1].into()),
        ..record(ApiKind::Agent, "dify", 200, Reason::Ok, 7)
    };
    let run = AccessRecord {
        route: "/v1".into(),
        detail: Detail::Run(Box::new(RunDetail {
            mode: "streaming",
            outcome: "succeeded",
            app: Some("0a1b2c3d4e5f".to_owned()),
            end_user: Some("ann \"the\" user".to_owned()),
            tokens: Some(RunTokens::Split {
                input: 12,
                output: 5,
            }),
            events: 42,
            conversation: Some("c-1".to_owned()),
            workflow_run: None,
        })),
        ..record(ApiKind::Agent, "dify", 200, Reason::Ok, 70)
    };
    let attempt = |provider: &'static str, outcome: &'static str, ms| AttemptDetail {
        provider: provider.into(),
        model: "as_asked".into(),
        endpoint: format!("https://{provider}"),
        key: (provider == "openai").then(|| "0a1b".to_owned()),
        outcome: outcome.into(),
        milliseconds: ms,
        detail: (outcome == "429").then(|| "slow\ndown".to_owned()),
    };
    let call = AccessRecord {
        route: "gpt-4o*".to_owned().into(),
        consumer: Some("team".into()),
        detail: Detail::Call(Box::new(CallDetail {
            model: "gpt-4o".to_owned(),
            is_stream: true,
            usage: Some(CallTokens {
                input: 12,
                output: 30,
                is_estimated: false,
            }),
            first_content: Some(Duration::from_millis(300)),
            attempts: vec![attempt("openai", "429", 31), attempt("own", "ok", 900)],
            stopped_by: None,
        })),
        ..record(ApiKind::Model, "llm", 200, Reason::Fallback, 1412)
    };
    let refused = AccessRecord {
        route: "a\"b".into(),
        detail: Detail::Call(Box::new(CallDetail {
            model: "m".to_owned(),
            attempts: vec![attempt("own", "connect_error", 4)],
            stopped_by: Some("budget"),
            ..CallDetail::default()
        })),
        ..record(
            ApiKind::Model,
            "llm",
            502,
            Reason::UpstreamRefused,
            5_000_000,
        )
    };
    let retrieval = AccessRecord {
        detail: Detail::Retrieval(RetrievalDetail {
            backend: "ragflow",
            outcome: "backend_timeout",
            records: None,
            query: Some("what?".to_owned()),
            detail: Some("no answer in time".to_owned()),
        }),
        ..record(
            ApiKind::Knowledge,
            "handbook",
            424,
            Reason::UpstreamTimeout,
            4500,
        )
    };
    let ready = record(ApiKind::Console, "", 503, Reason::Misconfigured, 1);
    vec![page, run, call, refused, retrieval, ready]
}
