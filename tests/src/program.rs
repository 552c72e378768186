//! A program that runs beside a test: a server, or a client that stays.

use std::{path::Path, process::Command};

use anyhow::Result;
use tempfile::TempDir;

use crate::{
    process::Process,
    repository::{node, repository_root},
    until,
};

/// A program that runs until dropped. What it prints is printed when the test fails.
#[derive(Debug)]
pub struct Program {
    // Dropped in this order: the process before its directory.
    process: Process,
    _directory: TempDir,
}

impl Program {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("spillway-program-")
            .tempdir()?;
        let process = Process::start(command, &directory.path().join("output"))?;
        Ok(Self {
            process,
            _directory: directory,
        })
    }

    /// What it has printed so far.
    pub fn output(&self) -> String {
        self.process.log()
    }

    /// Waits until it has printed so many lines, at least one, and gives the last of them.
    ///
    /// # Errors
    /// When it has not after 30 s.
    pub async fn line(&self, number: usize) -> Result<String> {
        let lines = format!("{number} lines of a program's output");
        until(&lines, async || {
            let output = self.output();
            let mut complete = output
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            let line = complete.nth(number.saturating_sub(1));
            Ok(line.map(|line| line.trim().to_owned()))
        })
        .await
    }

    /// Ends it at once (SIGKILL), as a machine does that loses its power.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn kill(&self) -> Result<()> {
        self.process.kill()
    }
}

/// A script of `tests/clients/node` with these arguments.
///
/// # Errors
/// When Node and its packages are not installed.
pub fn node_script(name: &str, arguments: &[&str]) -> Result<Command> {
    let folder = node()?;
    let mut command = Command::new(folder.join("node"));
    command
        .arg(repository_root().join("tests/clients/node").join(name))
        .args(arguments)
        .env("NODE_PATH", folder.join("node_modules"))
        .current_dir(Path::new("/"));
    Ok(command)
}
