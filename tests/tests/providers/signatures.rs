//! Consumers who sign their requests.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use spillway_tests::{
    Gateway, Reason, Redis, assert_openai_error, chat_request,
    client::Request,
    mark, reason, run,
    standin::{ReservedPort, StandinModel},
};

use crate::{CHAT, on_redis, signing::Signer, start};

const YAML: &str = r#"
consumers:
  - name: dify
    credentials:
      - hmac: { access_key: ak1, secret_key: sk-signing-secret, clock_skew: 2m }
models:
  - name: llm
    policies: { auth: [dify] }
    routes: [{ targets: [{ provider: vendor }] }]
providers:
  - { name: vendor, base_url: "$vendor" }
"#;

fn signer(age_ms: i64) -> Result<Signer> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    Ok(Signer {
        access_key: "ak1".to_owned(),
        secret: "sk-signing-secret".to_owned(),
        nonce: format!("6a5b0d6e-0000-4000-8000-{}", mark()),
        timestamp: u128::try_from(now.saturating_sub(age_ms))?,
        // Signed as text; the timestamp says when.
        date: "Fri, 02 Jan 2026 03:04:05 GMT".to_owned(),
    })
}

fn chat(text: &str) -> Request {
    Request::json(CHAT, &chat_request("m", text))
}

async fn refused(gateway: &Gateway, request: &Request, what: &str) -> Result<()> {
    let answer = gateway.call(request).await?;
    let message = assert_openai_error(&answer, 401);
    reason(&answer.head, Reason::Unauthorized);
    assert!(!message.contains("sk-"), "{what}: {message}");
    Ok(())
}

async fn signed_once_and_repeated(yaml: &str) -> Result<()> {
    let vendor = StandinModel::start("vendor")?;
    let gateway = start(yaml, &[("vendor", &vendor)]).await?;
    let signed = signer(0)?.sign(chat("hi"), CHAT);
    let answer = gateway.call(&signed).await?;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let seen = vendor.wait_for_request("hi").await?;
    let leaked = seen
        .headers
        .iter()
        .find(|(name, _)| name.starts_with("x-ca-"));
    assert!(leaked.is_none(), "{leaked:?} went to the provider");
    for _ in 0..3 {
        refused(&gateway, &signed, "sent again").await?;
    }
    let other_body = signer(0)?;
    let first = gateway.call(&other_body.sign(chat("one"), CHAT)).await?;
    assert_eq!(first.status(), 200);
    refused(
        &gateway,
        &other_body.sign(chat("two"), CHAT),
        "the nonce again",
    )
    .await?;
    assert_eq!(vendor.requests().len(), 2);
    let mut listed = signer(0)?.sign(Request::get("/llm/v1/models"), "/llm/v1/models");
    assert_eq!(gateway.call(&listed).await?.status(), 200);
    listed.target = "/llm/v1/models/m".to_owned();
    refused(&gateway, &listed, "another path").await
}

#[test]
fn a_signed_request_is_taken_once() -> Result<()> {
    run(signed_once_and_repeated(YAML))
}

#[test]
fn a_signed_request_is_taken_once_on_redis() -> Result<()> {
    run(async {
        let redis = Redis::start().await?;
        signed_once_and_repeated(&on_redis(&redis, YAML)).await
    })
}

#[test]
fn a_request_is_taken_by_one_of_two_gateways_on_one_redis() -> Result<()> {
    run(async {
        let (redis, vendor) = (Redis::start().await?, StandinModel::start("vendor")?);
        let yaml = on_redis(&redis, YAML);
        let one = start(&yaml, &[("vendor", &vendor)]).await?;
        let other = start(&yaml, &[("vendor", &vendor)]).await?;
        let signed = signer(0)?.sign(chat("hi"), CHAT);
        assert_eq!(one.call(&signed).await?.status(), 200);
        refused(&other, &signed, "sent to the other").await?;
        let state = redis.everything()?;
        assert!(!state.contains("sk-signing-secret"), "{state}");
        Ok(())
    })
}

#[test]
fn a_clock_may_be_a_little_wrong_and_no_more() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let gateway = start(YAML, &[("vendor", &vendor)]).await?;
        for age_ms in [60_000, -60_000] {
            let answer = gateway
                .call(&signer(age_ms)?.sign(chat("hi"), CHAT))
                .await?;
            assert_eq!(answer.status(), 200, "{age_ms}: {}", answer.text());
        }
        for age_ms in [600_000, -600_000, 86_400_000] {
            refused(&gateway, &signer(age_ms)?.sign(chat("hi"), CHAT), "stale").await?;
        }
        Ok(())
    })
}

#[test]
fn what_is_changed_after_signing_is_refused() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let gateway = start(YAML, &[("vendor", &vendor)]).await?;
        let changed = |name: &str, value: &str| -> Result<Request> {
            let mut request = signer(0)?.sign(chat("hi"), CHAT);
            request.headers.retain(|(header, _)| header != name);
            Ok(request.header(name, value))
        };
        let mut foreign = signer(0)?;
        foreign.secret = "sk-other".to_owned();
        let mut unknown = signer(0)?;
        unknown.access_key = "ak2".to_owned();
        for (what, request) in [
            ("another secret", foreign.sign(chat("hi"), CHAT)),
            ("another access key", unknown.sign(chat("hi"), CHAT)),
            ("another nonce", changed("x-ca-nonce", "n-2")?),
            (
                "another date",
                changed("date", "Sat, 03 Jan 2026 03:04:05 GMT")?,
            ),
            (
                "another method",
                changed("x-ca-signature-method", "HmacSHA1")?,
            ),
            ("no base64", changed("x-ca-signature", "!")?),
            ("no signature", changed("x-ca-signature", "")?),
            (
                "fewer headers signed",
                changed("x-ca-signature-headers", "x-ca-key")?,
            ),
        ] {
            refused(&gateway, &request, what).await?;
        }
        assert!(vendor.requests().is_empty(), "a refused call was sent on");
        Ok(())
    })
}

#[test]
fn a_query_is_signed_sorted_and_decoded() -> Result<()> {
    run(async {
        let vendor = StandinModel::start("vendor")?;
        let gateway = start(YAML, &[("vendor", &vendor)]).await?;
        let target = format!("{CHAT}?b=x%20y&a=%E4%BD%A0");
        let request = Request::json(&target, &chat_request("m", "hi"));
        let signed = signer(0)?.sign(request, &format!("{CHAT}?a=你&b=x y"));
        let answer = gateway.call(&signed).await?;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        Ok(())
    })
}

#[test]
fn without_redis_on_error_decides_whether_a_signed_request_passes() -> Result<()> {
    run(async {
        let (gone, vendor) = (ReservedPort::reserve()?, StandinModel::start("vendor")?);
        for (on_error, status) in [("allow", 200), ("deny", 503)] {
            let state = format!(
                "state: {{ redis: \"redis://{}\", on_error: {on_error} }}\n{YAML}",
                gone.address()
            );
            let gateway = start(&state, &[("vendor", &vendor)]).await?;
            let answer = gateway.call(&signer(0)?.sign(chat("hi"), CHAT)).await?;
            assert_eq!(answer.status(), status, "{}", answer.text());
            refused(&gateway, &chat("unsigned"), "unsigned").await?;
        }
        Ok(())
    })
}
