//! Where the versions of an application come from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ipnet::IpNet;
use spillway_config::{Gateway, LogConfig, parse_normal_form, template};

use super::files::{WatchedFiles, text_of_regular};
use crate::gateway_config::{self, GatewayConfig, grant_hosts, lines_to_add, name_of};
use crate::log_lines::{warn, write_as};
use crate::manifest::Manifest;
use crate::secrets;
use crate::variables::Variables;

/// A value of a variable that the command line gives.
#[derive(Clone)]
pub enum GivenValue {
    /// It is this.
    Text(String),
    /// It is the text of a file, which was this at start.
    File {
        /// Where it is.
        file: PathBuf,
        /// What was in it.
        at_start: String,
    },
}

impl fmt::Debug for GivenValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It may be a secret.
        formatter.write_str("GivenValue")
    }
}

/// Where components' configuration comes from.
#[derive(Debug, Clone)]
pub enum ConfigSource {
    /// A `gateway.yaml`.
    Document(PathBuf),
    /// One that could be read once only: standard input, or a pipe. What messages call it, and its text.
    Text(String, String),
    /// The variable `gateway_config`, or the mounted `gateway.json` where that is empty; or there is none.
    Variable,
}

/// Reads versions.
pub struct VersionSource {
    /// As it was at start; a version grants hosts beside those that it names.
    pub manifest: Manifest,
    given: BTreeMap<String, GivenValue>,
    config: ConfigSource,
    strict_hosts: bool,
    pub(super) files: WatchedFiles,
}

/// What a version of an application is made of.
pub struct Version {
    /// With the hosts that the configuration needs.
    pub manifest: Manifest,
    /// All of them.
    pub variables: Variables,
    /// The configuration's normal form; empty where there is none.
    pub config: String,
    /// How the log is to be.
    pub log: Option<LogConfig>,
    /// Proxies that speak for many clients.
    pub trusted_proxies: Vec<IpNet>,
    /// What hardly does what was meant: one line each.
    pub warnings: Vec<String>,
    /// Those of its `{{ name }}`.
    values: BTreeMap<String, String>,
}

impl Version {
    /// Whether another one does the same.
    pub fn is(&self, other: &Self) -> bool {
        self.variables == other.variables && self.config == other.config
    }

    /// Has the log be as this version wants it, and tells what is odd about it.
    pub fn tell(&self) {
        if let Some(log) = &self.log {
            write_as(log);
        }
        for warning in &self.warnings {
            warn(warning);
        }
    }

    /// The configuration as components read it, its values in it.
    ///
    /// # Errors
    /// Why they cannot.
    pub fn gateway(&self) -> anyhow::Result<Gateway> {
        let resolved = template::resolve(&self.config, |name| self.values.get(name).cloned())?;
        parse_normal_form(&resolved).context("the normal form cannot be used")
    }

    /// What it is called in the log, in health and in metrics.
    pub fn name(&self) -> String {
        spillway_config::config_version(&self.config)
    }
}

impl GivenValue {
    /// The text of a file. What is no regular file, such as a pipe, can be read once only, and stays as it was.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn of_file(file: &Path) -> std::io::Result<Self> {
        let is_regular = file.is_file();
        let text = std::fs::read_to_string(file)?;
        Ok(if is_regular {
            Self::File {
                file: file.to_owned(),
                at_start: text,
            }
        } else {
            Self::Text(text)
        })
    }

    /// What it was at start.
    pub fn at_start(&self) -> &str {
        match self {
            Self::Text(text) | Self::File { at_start: text, .. } => text,
        }
    }

    fn file(&self) -> Option<PathBuf> {
        match self {
            Self::File { file, .. } => Some(file.clone()),
            Self::Text(_) => None,
        }
    }

    fn text(&self, name: &str) -> anyhow::Result<String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File { file, .. } => text_of_regular(file)
                .with_context(|| format!("--variable {name}=@{} cannot be read", file.display())),
        }
    }
}

impl VersionSource {
    /// Versions of the application of `manifest`, with the variables that the command line gives. With `strict_hosts` a
    /// version grants no hosts.
    pub fn new(
        manifest: Manifest,
        given: BTreeMap<String, GivenValue>,
        config: ConfigSource,
        strict_hosts: bool,
    ) -> Self {
        let document = match &config {
            ConfigSource::Document(file) => Some(file.clone()),
            ConfigSource::Text(..) => None,
            ConfigSource::Variable => Some(mounted(&manifest)),
        };
        let values = given.values().filter_map(GivenValue::file);
        Self {
            files: WatchedFiles::new(values.chain(document)),
            manifest,
            given,
            config,
            strict_hosts,
        }
    }

    /// Reads and checks the version that the files hold now.
    ///
    /// # Errors
    /// All that is wrong, for the operator.
    pub fn read(&self) -> anyhow::Result<Version> {
        let mut given = BTreeMap::new();
        for (name, value) in &self.given {
            given.insert(name.clone(), value.text(name)?);
        }
        let mut warnings = Vec::new();
        let document = match &self.config {
            ConfigSource::Document(file) => {
                let text = text_of_regular(file)
                    .with_context(|| format!("{} cannot be read", file.display()))?;
                Some(GatewayConfig::parse(&name_of(file), &text)?)
            }
            ConfigSource::Text(name, text) => Some(GatewayConfig::parse(name, text)?),
            ConfigSource::Variable => None,
        };
        if let Some(config) = document {
            self.look_at(&config, &mut warnings)?;
            given.insert(gateway_config::VARIABLE.to_owned(), config.normal_form());
        }
        let mut manifest = self.manifest.clone();
        let environment = |name: &str| std::env::var(name).ok();
        let variables = Variables::resolve(&manifest.variables, &given, environment)?;
        let config = match variables.get(gateway_config::VARIABLE) {
            Some(text) if !text.is_empty() => text.to_owned(),
            _ => mounted_text(&manifest)?,
        };
        let handed_on = |name: &str| {
            let value = variables.get(name).filter(|_| manifest.hands_on(name));
            value.map(str::to_owned)
        };
        let values = secrets::values(&config, handed_on)?;
        if !self.strict_hosts {
            grant_hosts(&mut manifest, &config, &values)?;
        }
        Ok(Version {
            log: gateway_config::log(&config),
            trusted_proxies: gateway_config::trusted_proxies(&config),
            manifest,
            variables,
            config,
            warnings,
            values,
        })
    }

    /// What is odd about it.
    fn look_at(&self, config: &GatewayConfig, warnings: &mut Vec<String>) -> anyhow::Result<()> {
        warnings.extend_from_slice(&config.warnings);
        if self.strict_hosts {
            let missing = config.missing_hosts(&self.manifest)?;
            if !missing.is_empty() {
                warnings.push(format!(
                    "{}: warning: allowed_outbound_hosts lacks hosts that the configuration sends to; add these lines{}",
                    self.manifest.path.display(),
                    lines_to_add(&missing)
                ));
            }
        }
        Ok(())
    }

    /// What messages call the configuration.
    pub(super) fn name(&self) -> String {
        match &self.config {
            ConfigSource::Document(file) => name_of(file),
            ConfigSource::Text(name, _) => name.clone(),
            ConfigSource::Variable => "the configuration".to_owned(),
        }
    }
}

/// Empty where there is none: components say so.
fn mounted_text(manifest: &Manifest) -> anyhow::Result<String> {
    let file = mounted(manifest);
    match text_of_regular(&file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        read => read.with_context(|| format!("{} cannot be read", file.display())),
    }
}

fn mounted(manifest: &Manifest) -> PathBuf {
    manifest.root.join(gateway_config::NORMAL_FORM_FILE)
}
