//! The gateway's configuration, as this instance sees it.

use std::collections::BTreeMap;

use spillway_config::{Gateway, config_version, parse_normal_form, template};
use spillway_platform::Platform;

/// The variable that holds the whole normal form.
const CONFIGURATION_VARIABLE: &str = "gateway_config";

/// The variable that holds a JSON object of secrets, so that a new one needs no edit of `spin.toml`.
const SECRETS_VARIABLE: &str = "secrets";

/// The mounted normal form, where the variable is empty.
const CONFIGURATION_FILE: &str = "/gateway.json";

/// A configuration that cannot be used. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// There is none.
    #[error(
        "there is no configuration: neither the variable `gateway_config` nor the file `gateway.json` ({0}). Run `spillway check gateway.yaml --write gateway.json`"
    )]
    Missing(String),
    /// A variable could not be read.
    #[error("the variable `{name}` cannot be read: {message}")]
    Variable {
        /// Its name.
        name: String,
        /// The runtime's words.
        message: String,
    },
    /// The secrets are no JSON object of strings.
    #[error(
        "the variable `secrets` must be a JSON object whose values are strings; it is wrong at line {line}, column {column}"
    )]
    Secrets {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// The document is wrong.
    #[error("the configuration cannot be used: {0}")]
    Invalid(#[from] spillway_config::Error),
}

/// A configuration, and the document that it was read from.
pub(crate) struct Configuration {
    pub gateway: Gateway,
    document: String,
}

impl Configuration {
    /// What the configuration is called.
    pub fn version(&self) -> String {
        config_version(&self.document)
    }
}

/// Reads the configuration and puts in every `{{ name }}`: an entry of `secrets`, else a variable of the name.
///
/// # Errors
/// [`SettingsError`].
pub(crate) async fn read_settings<P: Platform>(
    platform: &P,
) -> Result<Configuration, SettingsError> {
    let document = match read_variable(platform, CONFIGURATION_VARIABLE).await? {
        Some(document) if !document.trim().is_empty() => document,
        _ => platform
            .mounted_file(CONFIGURATION_FILE)
            .map_err(SettingsError::Missing)?,
    };
    let names = template::names(&document);
    if names.is_empty() {
        let gateway = parse_normal_form(&document)?;
        return Ok(Configuration { gateway, document });
    }
    let mut values = read_secrets(platform).await?;
    for name in names {
        if !values.contains_key(&name)
            && let Some(value) = read_variable(platform, &name).await?
        {
            values.insert(name, value);
        }
    }
    let resolved = template::resolve(&document, |name| values.get(name).cloned())?;
    let gateway = parse_normal_form(&resolved)?;
    Ok(Configuration { gateway, document })
}

async fn read_secrets<P: Platform>(
    platform: &P,
) -> Result<BTreeMap<String, String>, SettingsError> {
    match read_variable(platform, SECRETS_VARIABLE).await? {
        Some(text) if !text.trim().is_empty() => {
            // Only the place: serde's own message may quote the text, which is secret.
            serde_json::from_str(&text).map_err(|error| SettingsError::Secrets {
                line: error.line(),
                column: error.column(),
            })
        }
        _ => Ok(BTreeMap::new()),
    }
}

async fn read_variable<P: Platform>(
    platform: &P,
    name: &str,
) -> Result<Option<String>, SettingsError> {
    platform
        .variable(name)
        .await
        .map_err(|message| SettingsError::Variable {
            name: name.to_owned(),
            message,
        })
}
