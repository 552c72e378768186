//! `spillway check --connect`: whether the gateway could count in the Redis that is configured.

use std::time::Duration;

use anyhow::{Context as _, bail};
use spillway_config::{Gateway, StateConfig, normal_form, template};
use spillway_state::Distance;

use crate::log_lines::{Destination, notice};
use crate::manifest::Manifest;
use crate::redis::try_out;
use crate::reload::GivenValue;
use crate::secrets;
use crate::tls;
use crate::variables::environment_name;

/// Tries the Redis of `state.redis` out and tells how far away it is. Variables are looked for where a component
/// finds them: in the entries of `secrets`, then `given` on the command line, in the environment, and among the
/// manifest's defaults.
///
/// # Errors
/// When it cannot be used; in words that say what to do.
pub(super) fn connect(
    state: &StateConfig,
    given: &[(String, GivenValue)],
    manifest: Option<&Manifest>,
) -> anyhow::Result<()> {
    if state.redis.is_empty() {
        notice("`state.redis` is empty: there is no Redis to connect to");
        return Ok(());
    }
    let address = filled_in(&state.redis, |name| variable(name, given, manifest))?;
    if address.trim().is_empty() {
        notice("`state.redis` is empty once its values are in it: there is no Redis to connect to");
        return Ok(());
    }
    tls::install_provider();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let distance = runtime
        .block_on(try_out(&address))
        .map_err(|problem| anyhow::anyhow!("Redis cannot be used: {problem}"))?;
    match Distance::of(distance, state.timeout.duration()) {
        Distance::Near => {}
        Distance::Far(message) => notice(&format!("warning: {message}")),
        Distance::TooFar(message) => bail!("{message}"),
    }
    let reached = format!("Redis can be used; it is {} away\n", in_words(distance));
    Destination::Stdout.write(reached.as_bytes());
    Ok(())
}

fn in_words(distance: Duration) -> String {
    match distance.as_millis() {
        0 => "less than 1 ms".to_owned(),
        milliseconds => format!("{milliseconds} ms"),
    }
}

/// The text with its templates' values.
fn filled_in(text: &str, variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<String> {
    let state = StateConfig {
        redis: text.into(),
        ..StateConfig::default()
    };
    let values = secrets::values(
        &normal_form(&Gateway {
            state,
            ..Gateway::default()
        }),
        variable,
    )?;
    let json = serde_json::to_string(text)?;
    let filled = template::resolve(&json, |name| values.get(name).cloned())
        .context("`state.redis` cannot be filled in")?;
    Ok(serde_json::from_str(&filled)?)
}

/// A variable's value, where a component finds it. One that the manifest does not hand on it does not find.
pub(super) fn variable(
    name: &str,
    given: &[(String, GivenValue)],
    manifest: Option<&Manifest>,
) -> Option<String> {
    if manifest.is_some_and(|manifest| !manifest.hands_on(name)) {
        return None;
    }
    let given = given.iter().rev().find(|(known, _)| known == name);
    given
        .map(|(_, value)| value.at_start().to_owned())
        .or_else(|| std::env::var(environment_name(name)).ok())
        .or_else(|| manifest?.variables.get(name)?.default.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_filled_in_from_secrets_before_variables() {
        let variable = |name: &str| match name {
            "secrets" => Some(r#"{"password": "a\"b"}"#.to_owned()),
            "password" => Some("not this one".to_owned()),
            "host" => Some("redis".to_owned()),
            _ => None,
        };
        let fill = |text| filled_in(text, variable);
        assert_eq!(
            fill("redis://:{{ password }}@{{host}}").unwrap(),
            "redis://:a\"b@redis"
        );
        let empty = |name: &str| (name == "redis_url").then(String::new);
        assert_eq!(filled_in("{{ redis_url }}", empty).unwrap(), "");
        let missing = format!("{:#}", fill("{{ redis_url }}").unwrap_err());
        assert!(missing.contains("redis_url"), "{missing}");
        let broken = |name: &str| (name == "secrets").then(|| "to-be-hidden".to_owned());
        let message = filled_in("{{ x }}", broken).unwrap_err().to_string();
        assert!(
            message.contains("line 1") && !message.contains("hidden"),
            "{message}"
        );
    }
}
