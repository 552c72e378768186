//! Preparing a directory for a gateway, and starting it there.

use std::{
    env, fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};
use spillway_standin::client::{Connection, Request};
use tempfile::TempDir;

use crate::{
    Options, host_names,
    manifest::{NORMAL_FORM, derive_manifest},
    process::{Process, run_to_end},
    repository::{Host, repository_root, spillway_binary, spin_binary, target_directory},
};

/// How long a gateway may take to start: a first start compiles the components.
const START: Duration = Duration::from_secs(180);
/// What components may reach: stand-ins on loopback.
const LOOPBACK: [&str; 3] = [
    "http://127.0.0.1:*",
    "redis://127.0.0.1:*",
    "rediss://127.0.0.1:*",
];
/// The path that answers 200 once it runs.
const LIVE: &str = "/_gateway/health/live";

/// A directory with the manifest and a `gateway.yaml`, as `spillway` finds them.
///
/// # Errors
/// When the components are not built.
pub fn prepare(yaml: &str, options: &Options) -> Result<TempDir> {
    let directory = tempfile::Builder::new()
        .prefix("spillway-test-")
        .tempdir()?;
    let root = repository_root();
    let manifest_path = match &options.manifest {
        Some(manifest) => root.join(manifest),
        None => root.join("spin.toml"),
    };
    let root = manifest_path.parent().unwrap_or(&root);
    let manifest = fs::read_to_string(&manifest_path)
        .with_context(|| format!("reading {}", manifest_path.display()))?;
    let loopback = LOOPBACK.map(str::to_owned).to_vec();
    let hosts = options.allowed_outbound_hosts.as_ref().unwrap_or(&loopback);
    fs::write(
        directory.path().join("spin.toml"),
        derive_manifest(&manifest, root, hosts)?,
    )?;
    fs::write(directory.path().join("gateway.yaml"), yaml)?;
    if let Some(runtime_config) = &options.runtime_config {
        fs::write(directory.path().join("runtime-config.toml"), runtime_config)?;
    }
    Ok(directory)
}

/// Writes `gateway.json` beside `gateway.yaml`.
pub(crate) async fn write_normal_form(directory: &Path) -> Result<()> {
    let mut check = Command::new(spillway_binary()?);
    check
        .args([
            "check",
            "gateway.yaml",
            "--embedded",
            "--write",
            NORMAL_FORM,
        ])
        .current_dir(directory);
    let checked = run_to_end(&mut check).await?;
    let yaml = fs::read_to_string(directory.join("gateway.yaml"))?;
    let said = checked.everything();
    ensure!(
        checked.code == Some(0),
        "`spillway check` refuses the test's configuration:\n{said}\n{yaml}"
    );
    Ok(())
}

/// The command that starts the application in its directory.
pub(crate) fn up(directory: &Path, address: SocketAddr, options: &Options) -> Result<Command> {
    let program = match Host::chosen() {
        Host::Embedded | Host::Harsh => spillway_binary()?,
        Host::Spin => spin_binary(),
    };
    let own_state = directory.join(".spin");
    let state = options.state_directory.as_ref().unwrap_or(&own_state);
    let secrets = options
        .secrets
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    let mut command = Command::new(program);
    command
        .args(["up", "-f", "spin.toml", "--listen"])
        .arg(address.to_string())
        .arg("--state-dir")
        .arg(state)
        .current_dir(directory)
        // Compiled once for all tests, as their state folders are all new.
        .env(
            "SPILLWAY_CACHE_DIR",
            target_directory().join("compiled-components"),
        )
        .env(
            "SPIN_VARIABLE_SECRETS",
            Value::Object(secrets.collect::<Map<_, _>>()).to_string(),
        );
    // Stand-ins count what they are asked.
    if !options.probes_upstreams && Host::chosen() != Host::Spin {
        command.arg("--skip-connect");
    }
    if !options.watches_file {
        let normal_form = fs::read_to_string(directory.join(NORMAL_FORM))?;
        command.env("SPIN_VARIABLE_GATEWAY_CONFIG", normal_form);
    }
    if Host::chosen() == Host::Harsh {
        command.arg("--harsh");
    }
    let is_strict = options.allowed_outbound_hosts.is_some() && !options.grants_hosts;
    if is_strict && Host::chosen() != Host::Spin {
        command.arg("--strict-hosts");
    }
    if let Some(file) = &options.host_names {
        command.envs(host_names::environment(file));
    }
    for (name, value) in &options.environment {
        command.env(name, value);
    }
    command.args(&options.arguments);
    if options.runtime_config.is_some() {
        command.args(["--runtime-config-file", "runtime-config.toml"]);
    }
    // A proxy of the machine's is nothing to loopback, and a test's requests are nothing to a proxy.
    for (name, _) in env::vars_os() {
        if name
            .to_string_lossy()
            .to_ascii_lowercase()
            .ends_with("_proxy")
        {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// Asks until it is live or has ended.
pub(crate) async fn wait_until_live(process: &mut Process, address: SocketAddr) -> Result<()> {
    let started = Instant::now();
    loop {
        if let Some(status) = process.exited()? {
            bail!("the gateway ended at its start with {status}");
        }
        let answer = async {
            let connection = Connection::open(address).await?;
            connection.call(&Request::get(LIVE)).await?.finish().await
        };
        match answer.await {
            Ok(answer) if answer.status() == 200 => return Ok(()),
            Ok(answer) if started.elapsed() > START => {
                bail!(
                    "{LIVE} still answers {} after {} s",
                    answer.status(),
                    START.as_secs()
                );
            }
            Err(error) if started.elapsed() > START => {
                bail!(
                    "the gateway is not live after {} s: {error}",
                    START.as_secs()
                );
            }
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
