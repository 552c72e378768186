//! A real Redis for a test.

use std::{
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use spillway_standin::ReservedPort;

use crate::until;

/// A real Redis, gone when dropped.
#[derive(Debug)]
pub struct Redis {
    process: Child,
    port: ReservedPort,
}

impl Redis {
    /// Starts one, empty, that keeps nothing on disk.
    ///
    /// # Errors
    /// When there is no redis-server, or it does not listen.
    pub async fn start() -> Result<Self> {
        let port = ReservedPort::reserve()?;
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"])
            .arg(port.address().port().to_string())
            .stdout(Stdio::null())
            .spawn()
            .context("redis-server is missing: ./scripts/test installs it (Debian: apt-get install redis-server)")?;
        let redis = Self { process, port };
        let address = redis.port.address();
        until("Redis listens", async || {
            Ok(TcpStream::connect(address).ok())
        })
        .await?;
        Ok(redis)
    }

    /// `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.port.address())
    }
}

impl Redis {
    /// All keys with their values, as `redis-cli` prints them.
    ///
    /// # Errors
    /// When `redis-cli` (of Debian's redis-tools, which comes with the server) fails.
    pub fn everything(&self) -> Result<String> {
        let cli = |arguments: &[&str]| -> Result<String> {
            let port = self.port.address().port().to_string();
            let output = Command::new("redis-cli")
                .args(["-p", &port])
                .args(arguments)
                .output()?;
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let keys = cli(&["keys", "*"])?;
        let mut everything = keys.clone();
        for key in keys.lines() {
            for command in ["hgetall", "get"] {
                everything.push_str(&cli(&[command, key])?);
            }
        }
        Ok(everything)
    }

    /// Stops its process where it is, or lets it go on: a Redis that neither answers nor breaks off.
    ///
    /// # Errors
    /// When there is no such process any more.
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        Ok(kill_process(Pid::from_child(&self.process), signal)?)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
