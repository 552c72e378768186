//! `spillway check`: whether a configuration can be used.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use spillway_config::{Diagnostic, Severity};

use super::connect;
use super::up::parse_variable;
use crate::gateway_config::{GatewayConfig, name_of, text_of};
use crate::log_lines::{Destination, notice};
use crate::manifest::Manifest;

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

    /// Also refuse a configuration with nothing to serve: neither an agent API nor a model API.
    #[arg(long)]
    pub require_upstream: bool,

    /// Also connect to the Redis of `state.redis`, do there what a limit does, and tell how far away it is.
    #[arg(long)]
    pub connect: bool,

    /// Give a variable a value, for --connect, as `spillway up` takes it: `NAME=@FILE` takes the file's text.
    /// Wins over SPIN_VARIABLE_NAME. May be repeated.
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = parse_variable, requires = "connect")]
    pub variables: Vec<(String, String)>,
}

/// How `check` tells what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `gateway.yaml:12:5: error: …`.
    Text,
    /// `{"file", "errors", "diagnostics": [{"severity", "line", "column", "path", "message"}]}`.
    Json,
}

/// Tells as JSON.
fn tell_as_json(arguments: &CheckArguments) -> anyhow::Result<ExitCode> {
    let diagnostics = match spillway_config::read(&text_of(&arguments.file)?) {
        Ok(checked) => checked.warnings,
        Err(diagnostics) => diagnostics,
    };
    let is_error = |one: &&Diagnostic| one.severity == Severity::Error;
    let errors = diagnostics.iter().filter(is_error).count();
    let listed: Vec<serde_json::Value> = diagnostics
        .iter()
        .map(|one| {
            serde_json::json!({
                "severity": one.severity.to_string(), "line": one.line, "column": one.column,
                "path": one.path, "message": one.message,
            })
        })
        .collect();
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
    let manifest = manifest(arguments)?;
    if let Some(manifest) = &manifest
        && let Some(missing) = config.missing_hosts(manifest)?
    {
        notice(&missing);
    }
    if let Some(file) = &arguments.write {
        write_if_changed(file, &config.normal_form())?;
    }
    if arguments.require_upstream && !config.has_upstream() {
        bail!(
            "{} names no upstream: configure `agents` or `models`",
            arguments.file.display()
        );
    }
    if arguments.connect {
        connect::connect(config.state(), &arguments.variables, manifest.as_ref())?;
    }
    let fine = format!("{}: no errors\n", name_of(&arguments.file));
    Destination::Stdout.write(fine.as_bytes());
    Ok(ExitCode::SUCCESS)
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
