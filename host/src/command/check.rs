//! `spillway check`: whether a configuration can be used.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use spillway_config::{Diagnostic, Severity, template};

use super::connect;
use super::values::VariableParser;
use crate::gateway_config::{GatewayConfig, lines_to_add, name_of, text_of};
use crate::log_lines::{Destination, notice};
use crate::manifest::{Manifest, with_hosts};
use crate::reload::GivenValue;
use crate::secrets;

/// What `spillway check` takes.
#[derive(Debug, Clone, Args)]
pub struct CheckArguments {
    /// The configuration; `-` reads standard input.
    #[arg(value_name = "FILE", default_value = "gateway.yaml")]
    pub file: PathBuf,

    /// How to tell what is wrong: a line each on standard error, or a JSON document on standard output, for tools.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub format: Format,

    /// The manifest whose allowed_outbound_hosts have to suffice
    /// [default: spin.toml beside FILE, if there is one].
    #[arg(short = 'f', long = "from", value_name = "FILE")]
    pub from: Option<PathBuf>,

    /// Write the normal form, which components read, to this file.
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,

    /// Check for the embedded host, which lets components reach what the configuration names, whatever the manifest
    /// says.
    #[arg(long, conflicts_with = "write_hosts")]
    pub embedded: bool,

    /// Write the hosts that the manifest lacks into it. All else of it stays as it is, comments too.
    #[arg(long)]
    pub write_hosts: bool,

    /// Also refuse a configuration with nothing to serve: no agent API, no model API and no knowledge API.
    #[arg(long)]
    pub require_upstream: bool,

    /// Also try out what the configuration leads to: in the Redis of `state.redis` what a limit does, and how far away it is;
    /// of each upstream whether it can be reached, and takes the keys that it is sent. It costs no tokens.
    #[arg(long)]
    pub connect: bool,

    /// Give a variable a value, as `spillway up` takes it: `NAME=@FILE` takes the file's text. Wins over
    /// SPIN_VARIABLE_NAME. May be repeated. Where secrets are given, all that the configuration needs have to be.
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = VariableParser)]
    pub variables: Vec<(String, GivenValue)>,
}

/// How `check` tells what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `gateway.yaml:12:5: error: …`.
    Text,
    /// `{"file", "errors", "diagnostics": [{"severity", "line", "column", "path", "message"}]}`.
    Json,
}

/// Tells as JSON. What is wrong beside the file (secrets, hosts, Redis) has no line.
fn tell_as_json(arguments: &CheckArguments) -> anyhow::Result<ExitCode> {
    let text = text_of(&arguments.file)?;
    let (diagnostics, beside) = match spillway_config::read(&text) {
        Ok(checked) => {
            let config = GatewayConfig::parse(&name_of(&arguments.file), &text)?;
            (checked.warnings, check_beside(&config, arguments).err())
        }
        Err(diagnostics) => (diagnostics, None),
    };
    let is_error = |one: &&Diagnostic| one.severity == Severity::Error;
    let errors = diagnostics.iter().filter(is_error).count();
    let errors = errors.saturating_add(usize::from(beside.is_some()));
    let mut listed: Vec<serde_json::Value> = diagnostics
        .iter()
        .map(|one| {
            serde_json::json!({
                "severity": one.severity.to_string(), "line": one.line, "column": one.column,
                "path": one.path, "message": one.message,
            })
        })
        .collect();
    listed.extend(beside.map(|error| {
        serde_json::json!({
            "severity": Severity::Error.to_string(), "line": null, "column": null, "path": "",
            "message": format!("{error:#}"),
        })
    }));
    let document = serde_json::json!({
        "file": name_of(&arguments.file), "errors": errors, "diagnostics": listed,
    });
    Destination::Stdout.write(format!("{document:#}\n").as_bytes());
    Ok(if errors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

pub(super) fn run(arguments: &CheckArguments) -> anyhow::Result<ExitCode> {
    if arguments.format == Format::Json {
        return tell_as_json(arguments);
    }
    let config = GatewayConfig::read(&arguments.file)?;
    for warning in &config.warnings {
        notice(warning);
    }
    check_beside(&config, arguments)?;
    let (file, version) = (name_of(&arguments.file), config.version());
    let fine = format!("{file}: no errors (configuration version {version})\n");
    Destination::Stdout.write(fine.as_bytes());
    Ok(ExitCode::SUCCESS)
}

/// What a file that can be used needs besides: an upstream, secrets, hosts, a Redis. Files are written once all is well.
fn check_beside(config: &GatewayConfig, arguments: &CheckArguments) -> anyhow::Result<()> {
    if arguments.require_upstream && !config.has_upstream() {
        bail!(
            "{} publishes nothing: configure `agents`, `models` or `knowledge`",
            arguments.file.display()
        );
    }
    let manifest = manifest(arguments)?;
    check_secrets(config, arguments, manifest.as_ref())?;
    match manifest.as_ref().filter(|_| !arguments.embedded) {
        Some(manifest) => check_hosts(config, manifest, arguments.write_hosts)?,
        None if arguments.write_hosts => bail!(
            "--write-hosts: there is no spin.toml beside {}; name it with --from",
            arguments.file.display()
        ),
        None => {}
    }
    if arguments.connect {
        connect::connect(config, &arguments.variables, manifest.as_ref())?;
    }
    if let Some(file) = &arguments.write {
        write_if_changed(file, &config.normal_form())?;
    }
    Ok(())
}

/// Where secrets are given all have to be; where none is, those that will be needed are named.
fn check_secrets(
    config: &GatewayConfig,
    arguments: &CheckArguments,
    manifest: Option<&Manifest>,
) -> anyhow::Result<()> {
    if let Some(manifest) = manifest {
        let declared = &manifest.variables;
        let given = arguments.variables.iter().map(|(name, _)| name);
        if let Some(unknown) = given.into_iter().find(|name| !declared.contains_key(*name)) {
            let names: Vec<String> = declared.keys().map(|name| format!("`{name}`")).collect();
            bail!(
                "--variable {unknown}=…: {} declares no such variable, but {}",
                manifest.path.display(),
                names.join(", ")
            );
        }
    }
    let variable = |name: &str| connect::variable(name, &arguments.variables, manifest);
    let normal_form = config.normal_form();
    let names = template::names(&normal_form);
    let is_given = |name: &str| variable(name).is_some_and(|value| !value.trim().is_empty());
    let some_are_given = is_given(secrets::VARIABLE) || names.iter().any(|name| is_given(name));
    if some_are_given {
        secrets::values(&normal_form, variable)?;
    } else if !names.is_empty() {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        notice(&format!(
            "{}: needs secrets that were not given here, so they were not looked at: {}. `spillway up` does not start without them: give them as the JSON object SPIN_VARIABLE_SECRETS",
            name_of(&arguments.file),
            names.join(", ")
        ));
    }
    Ok(())
}

/// On Spin a component reaches what the manifest names and nothing else.
fn check_hosts(config: &GatewayConfig, manifest: &Manifest, writes: bool) -> anyhow::Result<()> {
    let missing = config.missing_hosts(manifest)?;
    if missing.is_empty() {
        return Ok(());
    }
    let (file, lines) = (manifest.path.display(), lines_to_add(&missing));
    let entries: String = missing.values().flatten().map(String::as_str).collect();
    let undeclared: Vec<String> = template::names(&entries)
        .into_iter()
        .filter(|name| !manifest.variables.contains_key(name))
        .collect();
    if let Some(name) = undeclared.first() {
        bail!(
            "{file}: error: allowed_outbound_hosts lacks a host that `{{{{ {name} }}}}` gives, and Spin looks for that among its own variables alone: declare `{name}` in [variables], or write the host itself into gateway.yaml (the embedded host needs neither: --embedded){lines}"
        );
    }
    if !writes {
        bail!(
            "{file}: error: allowed_outbound_hosts lacks hosts that the configuration sends to; add these lines, or let `spillway check --write-hosts` do it (the embedded host needs none of them: --embedded){lines}"
        );
    }
    let text = std::fs::read_to_string(&manifest.path)
        .with_context(|| format!("{file} cannot be read"))?;
    write_if_changed(&manifest.path, &with_hosts(&text, &missing)?)?;
    notice(&format!("{file}: these lines were added{lines}"));
    Ok(())
}

fn manifest(arguments: &CheckArguments) -> anyhow::Result<Option<Manifest>> {
    if let Some(from) = &arguments.from {
        return Manifest::load(from).map(Some);
    }
    let beside = arguments.file.with_file_name("spin.toml");
    if beside.is_file() {
        Manifest::load(&beside).map(Some)
    } else {
        Ok(None)
    }
}

/// Leaves an equal file alone, so that nothing that watches it starts to build.
fn write_if_changed(file: &Path, text: &str) -> anyhow::Result<()> {
    if std::fs::read_to_string(file).is_ok_and(|present| present == text) {
        return Ok(());
    }
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
