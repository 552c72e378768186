//! Where the built things are, and which host runs them.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Result, ensure};

/// What runs the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// `spillway up`.
    Embedded,
    /// `spillway up --harsh`.
    Harsh,
    /// `spin up`.
    Spin,
}

impl Host {
    /// As `GATEWAY_HOST` says: `spin`, `harsh`, or else the embedded host.
    pub fn chosen() -> Self {
        match env::var("GATEWAY_HOST").as_deref() {
            Ok("spin") => Self::Spin,
            Ok("harsh") => Self::Harsh,
            _ => Self::Embedded,
        }
    }
}

/// Whether the embedded host, harsh or not, is under test. Elsewhere says that something is passed over, and why.
pub fn embedded_only(why: &str) -> bool {
    only_on(&[Host::Embedded, Host::Harsh], why)
}

/// As [`embedded_only`], for the embedded host in its usual manners.
pub fn mannerly_only(why: &str) -> bool {
    only_on(&[Host::Embedded], why)
}

/// As [`embedded_only`], for every host but the harsh one.
pub fn unless_harsh(why: &str) -> bool {
    only_on(&[Host::Embedded, Host::Spin], why)
}

#[expect(
    clippy::print_stderr,
    reason = "this is the note of what is passed over"
)]
fn only_on(hosts: &[Host], why: &str) -> bool {
    let chosen = Host::chosen();
    let is_one = hosts.contains(&chosen);
    if !is_one {
        eprintln!("passed over on {chosen:?}: {why}");
    }
    is_one
}

/// The root of the repository.
pub fn repository_root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}

/// Where cargo puts what it builds.
pub(crate) fn target_directory() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository_root().join("target"), PathBuf::from)
}

/// The operator's tool: `$SPILLWAY_BIN`, or the release build.
///
/// # Errors
/// When it is not built.
pub fn spillway_binary() -> Result<PathBuf> {
    let binary = env::var_os("SPILLWAY_BIN").map_or_else(
        || target_directory().join("release/spillway"),
        PathBuf::from,
    );
    ensure_built(&binary)?;
    Ok(binary)
}

/// Spin's command: `$SPIN_BIN`, or `spin`.
pub(crate) fn spin_binary() -> PathBuf {
    env::var_os("SPIN_BIN").map_or_else(|| PathBuf::from("spin"), PathBuf::from)
}

/// The Python of the virtual environment with the real clients: below `$SPILLWAY_VENV`, or `target/venv`.
///
/// # Errors
/// When it is not there.
pub fn python() -> Result<PathBuf> {
    let venv =
        env::var_os("SPILLWAY_VENV").map_or_else(|| target_directory().join("venv"), PathBuf::from);
    let python = venv.join("bin/python");
    ensure_built(&python)?;
    Ok(python)
}

/// The folder with Node and the packages of `tests/clients/node`: `$SPILLWAY_NODE`, or `target/node`.
pub(crate) fn node() -> Result<PathBuf> {
    let folder =
        env::var_os("SPILLWAY_NODE").map_or_else(|| target_directory().join("node"), PathBuf::from);
    ensure_built(&folder.join("node"))?;
    Ok(folder)
}

pub(crate) fn ensure_built(file: &Path) -> Result<()> {
    ensure!(
        file.exists(),
        "{} does not exist: run ./scripts/test",
        file.display()
    );
    Ok(())
}
