//! `rediss://`: TLS, a user of Redis' own, a password, a database.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use spillway_tests::{
    Certificates, Distant, Gateway, Options, Redis, client::Request, run, standin::StandinDify,
    unless_harsh, until,
};

use crate::{TEN_A_MINUTE, agent, passed_of};

/// What the documented ACL gives a user, and the default user nothing.
const ONLY_SPILLWAY: [&str; 13] = [
    "--user",
    "spillway",
    "on",
    ">pass-1",
    "~spillway:*",
    "+@scripting",
    "+@read",
    "+@write",
    "+time",
    "+select",
    "--user",
    "default",
    "off",
];

#[test]
fn limits_hold_over_tls_with_user_password_and_database() -> Result<()> {
    run(async {
        let certificates = Certificates::make().await?;
        let redis = Redis::start_with_tls(&certificates, &ONLY_SPILLWAY).await?;
        let dify = StandinDify::start()?;
        let yaml = agent(&redis.tls_url("spillway", "pass-1", 3), &dify, TEN_A_MINUTE);
        let trusting = Options::default()
            .environment("SSL_CERT_FILE", &certificates.authority().to_string_lossy());
        let gateways = [
            Gateway::start(&yaml, trusting.clone()).await?,
            Gateway::start(&yaml, trusting).await?,
        ];
        let request = Request::get("/v1/info").bearer("app-1");
        for gateway in gateways.iter().cycle().take(10) {
            assert_eq!(gateway.call(&request).await?.status(), 200);
        }
        for gateway in &gateways {
            let refused = gateway.call(&request).await?;
            assert_eq!(refused.status(), 429, "{}", gateway.log());
            let log = gateway.log();
            assert!(!log.contains("limits:"), "Redis was well:\n{log}");
        }
        let ready = Request::get("/_gateway/health/ready");
        for gateway in &gateways {
            let answer = gateway.call(&ready).await?;
            assert_eq!(answer.status(), 200, "{}", answer.text());
        }
        let keys = redis.tell(&["AUTH spillway pass-1", "SELECT 3", "DBSIZE"]);
        let [authenticated, selected, size] = keys?.try_into().unwrap_or_default();
        assert_eq!((authenticated.as_str(), selected.as_str()), ("+OK", "+OK"));
        assert_ne!(size, ":0", "the counts are in database 3");
        Ok(())
    })
}

#[test]
fn a_certificate_of_an_unknown_authority_is_not_taken_and_the_log_says_what_to_do() -> Result<()> {
    run(async {
        let certificates = Certificates::make().await?;
        let redis = Redis::start_with_tls(&certificates, &ONLY_SPILLWAY).await?;
        let dify = StandinDify::start()?;
        let url = redis.tls_url("spillway", "pass-1", 0);
        let deny = format!("{TEN_A_MINUTE}        on_error: deny\n");
        let gateway = Gateway::start(&agent(&url, &dify, &deny), Options::default()).await?;
        let request = Request::get("/v1/info").bearer("app-1");
        assert_eq!(gateway.call(&request).await?.status(), 503);
        until("the log names SSL_CERT_FILE", async || {
            gateway.call(&request).await?;
            Ok(gateway.log().contains("SSL_CERT_FILE").then_some(()))
        })
        .await?;
        assert!(!gateway.log().contains("pass-1"), "{}", gateway.log());
        Ok(())
    })
}

/// The connection is held: a call costs one round trip over TLS, too.
#[test]
fn a_call_costs_one_round_trip() -> Result<()> {
    if !unless_harsh("connections are opened anew all the time") {
        return Ok(());
    }
    run(async {
        let certificates = Certificates::make().await?;
        let redis = Redis::start_with_tls(&certificates, &[]).await?;
        let dify = StandinDify::start()?;
        let server = redis.tls_address().unwrap_or(redis.address());
        let watched = Distant::start(server, Duration::from_millis(1))?;
        let many = TEN_A_MINUTE.replace("10 }", "1000 }");
        let yaml = agent(&format!("rediss://{}", watched.address()), &dify, &many);
        let trusting = Options::default()
            .environment("SSL_CERT_FILE", &certificates.authority().to_string_lossy());
        let gateway = Gateway::start(&yaml, trusting).await?;
        let request = Request::get("/v1/info").bearer("app-1");
        // The first calls open the connection, and teach Redis the script.
        for _ in 0..3 {
            gateway.call(&request).await?;
        }
        let before = watched.answers();
        for _ in 0..60 {
            assert_eq!(gateway.call(&request).await?.status(), 200);
        }
        let round_trips = watched.answers().saturating_sub(before);
        // Twice a second totals are added up besides, over a connection that is opened for them.
        assert!(
            (60..90).contains(&round_trips),
            "{round_trips} for 60 calls"
        );
        assert!(watched.connections() <= 4, "{}", watched.connections());
        Ok(())
    })
}

/// Many calls at once on a gateway that has no connection to Redis yet. Opening one takes longer with TLS, on a busy
/// machine longer than a call waits; what cannot be counted in time is denied here, so that too many never pass.
#[test]
fn of_many_calls_at_once_over_tls_no_more_than_ten_pass() -> Result<()> {
    run(async {
        let certificates = Certificates::make().await?;
        let redis = Redis::start_with_tls(&certificates, &ONLY_SPILLWAY).await?;
        let dify = StandinDify::start()?;
        let url = redis.tls_url("spillway", "pass-1", 0);
        let deny = format!("{TEN_A_MINUTE}        on_error: deny\n");
        let authority = certificates.authority();
        let trusting =
            Options::default().environment("SSL_CERT_FILE", &authority.to_string_lossy());
        let gateway = Arc::new(Gateway::start(&agent(&url, &dify, &deny), trusting).await?);
        let request = Request::get("/v1/info").bearer("app-1");
        let passed = passed_of(&[Arc::clone(&gateway)], 200, &request).await?;
        assert!(passed <= 10, "{passed} passed");
        until(
            "connections stand, and the rest of the ten pass",
            async || {
                let answer = gateway.call(&request).await?;
                Ok((answer.status() == 429).then_some(()))
            },
        )
        .await
    })
}
