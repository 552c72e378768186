//! `gateway.yaml` on its way to the components: checked, and in its normal form. What it says is the
//! components' affair.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use ipnet::IpNet;
use spillway_config::{
    AllowedHosts, Checked, Gateway, LogConfig, Severity, outbound_hosts, parse_normal_form,
    template,
};

use crate::manifest::Manifest;
use crate::template::Template;

/// The application variable, and the file, by which components get the normal form.
pub const VARIABLE: &str = "gateway_config";

/// The file of the normal form, for components that do not get the variable.
pub const NORMAL_FORM_FILE: &str = "gateway.json";

/// How a normal form wants the log. One that cannot be read does not say: the components say what is wrong with it.
pub fn log(normal_form: &str) -> Option<LogConfig> {
    let document: serde_json::Value = serde_json::from_str(normal_form).ok()?;
    serde_json::from_value(document.pointer("/telemetry/log")?.clone()).ok()
}

/// The proxies that a normal form trusts. One that cannot be read names none: the components say what is wrong with it.
pub fn trusted_proxies(normal_form: &str) -> Vec<IpNet> {
    #[derive(serde::Deserialize)]
    struct Trusting {
        #[serde(default)]
        trusted_proxies: Vec<IpNet>,
    }
    serde_json::from_str(normal_form)
        .map(|Trusting { trusted_proxies }| trusted_proxies)
        .unwrap_or_default()
}

/// Whether a normal form publishes anything.
pub fn has_upstream(normal_form: &str) -> bool {
    let Ok(document) = serde_json::from_str::<serde_json::Value>(normal_form) else {
        return false;
    };
    let has_some = |kind: &&str| {
        let list = document.get(kind).and_then(serde_json::Value::as_array);
        list.is_some_and(|list| !list.is_empty())
    };
    ["agents", "models", "knowledge"].iter().any(has_some)
}

/// A configuration that can be used.
#[derive(Debug)]
pub struct GatewayConfig {
    gateway: Gateway,
    /// What hardly does what was meant: one line each.
    pub warnings: Vec<String>,
}

/// A configuration that cannot be used: one line for each thing that is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigRefused(String);

impl GatewayConfig {
    /// Reads and checks a `gateway.yaml`; `-` is standard input.
    ///
    /// # Errors
    /// [`ConfigRefused`] with all that is wrong, or why the file cannot be read.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        Ok(Self::parse(&name_of(path), &text_of(path)?)?)
    }

    /// Checks the text of a file.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigRefused> {
        let in_file = |diagnostics: &[spillway_config::Diagnostic]| -> Vec<String> {
            let lines = diagnostics.iter().map(|it| it.in_file(file).to_string());
            lines.collect()
        };
        match spillway_config::read(text) {
            Ok(Checked { gateway, warnings }) => Ok(Self {
                gateway,
                warnings: in_file(&warnings),
            }),
            Err(diagnostics) => {
                let errors = diagnostics
                    .iter()
                    .filter(|diagnostic| diagnostic.severity == Severity::Error)
                    .count();
                let mut lines = in_file(&diagnostics);
                let plural = if errors == 1 { "error" } else { "errors" };
                lines.push(format!("{file}: {errors} {plural}"));
                Err(ConfigRefused(lines.join("\n")))
            }
        }
    }

    /// Whether there is anything to serve.
    pub fn has_upstream(&self) -> bool {
        let gateway = &self.gateway;
        !gateway.agents.is_empty() || !gateway.models.is_empty() || !gateway.knowledge.is_empty()
    }

    /// What components read.
    pub fn normal_form(&self) -> String {
        spillway_config::normal_form(&self.gateway)
    }

    /// What it is called in health and metrics.
    pub fn version(&self) -> String {
        spillway_config::config_version(&self.normal_form())
    }

    /// What the manifest's `allowed_outbound_hosts` lack, by component.
    ///
    /// # Errors
    /// When an entry of the manifest is none.
    pub fn missing_hosts(&self, manifest: &Manifest) -> anyhow::Result<MissingHosts> {
        let allowed = manifest
            .components
            .iter()
            .map(|(id, component)| {
                let entries = component.allowed_outbound_hosts.iter();
                let hosts = AllowedHosts::parse(entries.map(ToString::to_string))
                    .with_context(|| format!("component `{id}`"))?;
                Ok((id.clone(), hosts))
            })
            .collect::<anyhow::Result<BTreeMap<_, _>>>()?;
        let mut by_component: MissingHosts = BTreeMap::new();
        for (component, entry) in spillway_config::missing_hosts(&self.gateway, &allowed) {
            // A component that the application does not have sends nothing.
            if allowed.contains_key(component) {
                by_component.entry(component).or_default().push(entry);
            }
        }
        Ok(by_component)
    }
}

/// Lets each component reach what the configuration makes it send to.
///
/// # Errors
/// When a host is no template's text.
pub fn grant_hosts(
    manifest: &mut Manifest,
    config: &str,
    values: &BTreeMap<String, String>,
) -> anyhow::Result<()> {
    // One that cannot be read names none: the components say what is wrong with it.
    let resolved = template::resolve(config, |name| values.get(name).cloned());
    let Some(gateway) = resolved.ok().and_then(|it| parse_normal_form(&it).ok()) else {
        return Ok(());
    };
    for (id, hosts) in outbound_hosts(&gateway) {
        let Some(component) = manifest.components.get_mut(id) else {
            continue;
        };
        for host in hosts {
            // Values have been looked at; one that is odd all the same may be secret.
            let host = Template::parse(&host).map_err(|_| {
                anyhow::anyhow!("an address that gateway.yaml takes from a secret cannot be used")
            })?;
            component.allowed_outbound_hosts.push(host);
        }
    }
    Ok(())
}

/// Entries that `allowed_outbound_hosts` lack, by component.
pub type MissingHosts = BTreeMap<&'static str, Vec<String>>;

/// The lines to add.
pub fn lines_to_add(missing: &MissingHosts) -> String {
    let mut text = String::new();
    for (component, entries) in missing {
        let _ = write!(
            text,
            "\n  to allowed_outbound_hosts of [component.{component}]:"
        );
        for entry in entries {
            let _ = write!(text, "\n    \"{entry}\",");
        }
    }
    text
}

/// The text of a configuration.
///
/// # Errors
/// Why it cannot be read.
pub fn text_of(path: &Path) -> anyhow::Result<String> {
    if path == Path::new("-") {
        return std::io::read_to_string(std::io::stdin())
            .context("standard input cannot be read as UTF-8 text");
    }
    std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// What messages call it.
pub fn name_of(path: &Path) -> String {
    if path == Path::new("-") {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toml_document::TomlDocument;

    const CONFIG: &str = "agents:\n  - name: dify\n    services:\n      api: http://api:5001\n";

    fn manifest(hosts: &str) -> Manifest {
        let text = format!(
            "spin_manifest_version = 2\n[application]\nname = \"x\"\n[trigger]\nhttp = []\n\
             [component.ingress]\nsource = \"c.wasm\"\nallowed_outbound_hosts = {hosts}\n"
        );
        Manifest::from_document(&TomlDocument::new("spin.toml", text)).unwrap()
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let refused = GatewayConfig::parse("g.yaml", "agentz: []\n").unwrap_err();
        let message = refused.to_string();
        assert!(message.starts_with("g.yaml:1:1: error: "), "{message}");
        assert!(message.contains("agents"), "{message}");
        assert!(message.ends_with("g.yaml: 1 error"), "{message}");
    }

    #[test]
    fn hosts_that_the_manifest_lacks_are_told_as_lines_to_add() {
        let config = GatewayConfig::parse("g.yaml", CONFIG).unwrap();
        let missing = lines_to_add(&config.missing_hosts(&manifest("[]")).unwrap());
        assert!(
            missing.contains("[component.ingress]:\n    \"http://api:5001\","),
            "{missing}"
        );
        let complete = manifest("['http://api:5001']");
        assert!(config.missing_hosts(&complete).unwrap().is_empty());
    }

    #[test]
    fn the_normal_form_is_json() {
        let config = GatewayConfig::parse("g.yaml", CONFIG).unwrap();
        let json: serde_json::Value = serde_json::from_str(&config.normal_form()).unwrap();
        assert_eq!(json["agents"][0]["name"], "dify");
    }
}
