//! `spillway check --connect`: whether what the configuration leads to can be used.

use anyhow::{Context as _, bail};
use spillway_config::{Gateway, parse_normal_form, template};

use crate::gateway_config::GatewayConfig;
use crate::log_lines::{Destination, notice};
use crate::manifest::Manifest;
use crate::reload::GivenValue;
use crate::secrets;
use crate::tls;
use crate::trials::{TrialVerdict, try_all};
use crate::variables::environment_name;

/// Probes the Redis of `state.redis`, and each upstream with its keys. Variables are looked for where a component
/// finds them: in the entries of `secrets`, then `given` on the command line, in the environment, and among the
/// manifest's defaults.
///
/// # Errors
/// What cannot be used; in words that say what to do.
pub(super) fn connect(
    config: &GatewayConfig,
    given: &[(String, GivenValue)],
    manifest: Option<&Manifest>,
) -> anyhow::Result<()> {
    let gateway = filled_in(&config.normal_form(), |name| {
        variable(name, given, manifest)
    })?;
    if gateway.state.redis.trim().is_empty() {
        notice("`state.redis` is empty: there is no Redis to connect to");
    }
    tls::install_provider();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let mut wrong = Vec::new();
    for finding in runtime.block_on(try_all(&gateway, None)) {
        match finding.verdict {
            TrialVerdict::Fine => {
                Destination::Stdout.write(format!("{}\n", finding.words).as_bytes());
            }
            TrialVerdict::Odd => notice(&format!("warning: {}", finding.words)),
            TrialVerdict::Wrong => wrong.push(finding.words),
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        bail!("{}", wrong.join("\n"))
    }
}

/// The configuration with its templates' values.
fn filled_in(
    normal_form: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<Gateway> {
    let values = secrets::values(normal_form, variable)?;
    let filled = template::resolve(normal_form, |name| values.get(name).cloned())?;
    Ok(parse_normal_form(&filled)?)
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
    fn addresses_are_filled_in_from_secrets_before_variables() {
        let variable = |name: &str| match name {
            "secrets" => Some(r#"{"password": "a%22b"}"#.to_owned()),
            "password" => Some("not this one".to_owned()),
            "host" => Some("redis".to_owned()),
            _ => None,
        };
        let form = |redis: &str| serde_json::json!({"state": {"redis": redis}}).to_string();
        let fill = |text: &str| filled_in(&form(text), variable).map(|it| it.state.redis);
        assert_eq!(
            fill("redis://:{{ password }}@{{host}}").unwrap().as_str(),
            "redis://:a%22b@redis"
        );
        let empty = |name: &str| (name == "redis_url").then(String::new);
        let filled = filled_in(&form("{{ redis_url }}"), empty).unwrap();
        assert_eq!(filled.state.redis.as_str(), "");
        let missing = format!("{:#}", fill("{{ redis_url }}").unwrap_err());
        assert!(missing.contains("redis_url"), "{missing}");
        let broken = |name: &str| (name == "secrets").then(|| "to-be-hidden".to_owned());
        let message = filled_in(&form("{{ x }}"), broken).unwrap_err().to_string();
        assert!(
            message.contains("line 1") && !message.contains("hidden"),
            "{message}"
        );
    }
}
