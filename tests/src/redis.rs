//! A real Redis for a test.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use spillway_standin::ReservedPort;
use tempfile::TempDir;

use crate::{Certificates, until};

/// A real Redis, gone when dropped.
#[derive(Debug)]
pub struct Redis {
    process: Option<Child>,
    port: ReservedPort,
    tls_port: Option<ReservedPort>,
    arguments: Vec<String>,
    directory: TempDir,
}

impl Redis {
    /// Starts one, empty, that keeps nothing on disk.
    ///
    /// # Errors
    /// When there is no redis-server, or it does not listen.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts one with these arguments besides.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with(arguments: &[&str]) -> Result<Self> {
        Self::start_on(arguments, None).await
    }

    /// Starts one that takes connections with TLS, too, and shows this certificate there.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with_tls(certificates: &Certificates, arguments: &[&str]) -> Result<Self> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let certificate = text(&certificates.server_certificate());
        let key = text(&certificates.server_key());
        let tls = [
            "--tls-auth-clients",
            "no",
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
        ];
        let arguments = [&tls, arguments].concat();
        Self::start_on(&arguments, Some(ReservedPort::reserve()?)).await
    }

    async fn start_on(arguments: &[&str], tls_port: Option<ReservedPort>) -> Result<Self> {
        let mut redis = Self {
            process: None,
            port: ReservedPort::reserve()?,
            tls_port,
            arguments: arguments.iter().map(|&text| text.to_owned()).collect(),
            directory: tempfile::Builder::new()
                .prefix("spillway-redis-")
                .tempdir()?,
        };
        redis.restart().await?;
        Ok(redis)
    }

    /// Starts it again on the same port, empty, after [`kill`](Self::kill).
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn restart(&mut self) -> Result<()> {
        self.kill();
        let mut command = Command::new("redis-server");
        command
            .args([
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
                "--port",
            ])
            .arg(self.port.address().port().to_string());
        if let Some(port) = &self.tls_port {
            command
                .arg("--tls-port")
                .arg(port.address().port().to_string());
        }
        let process = command
            .args(&self.arguments)
            .current_dir(self.directory.path())
            .stdout(Stdio::null())
            .spawn()
            .context("redis-server is missing: ./scripts/test installs it (Debian: apt-get install redis-server)")?;
        let process = self.process.insert(process);
        let address = self.port.address();
        until("Redis listens", async || {
            let ended = process.try_wait()?;
            ensure!(ended.is_none(), "redis-server ended at its start");
            Ok(TcpStream::connect(address).ok())
        })
        .await?;
        Ok(())
    }

    /// Ends it at once, as a crash does. Connections are refused until [`restart`](Self::restart).
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.port.address())
    }

    /// Where it takes connections without TLS.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Where it takes connections with TLS, if it does.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.tls_port.as_ref().map(ReservedPort::address)
    }

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

    /// `rediss://USER:PASSWORD@127.0.0.1:PORT/DATABASE`; empty without TLS.
    pub fn tls_url(&self, user: &str, password: &str, database: u8) -> String {
        self.tls_port.as_ref().map_or_else(String::new, |port| {
            format!("rediss://{user}:{password}@{}/{database}", port.address())
        })
    }

    /// Stops its process where it is, or lets it go on: a Redis that neither answers nor breaks off.
    ///
    /// # Errors
    /// When there is no such process any more.
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        let process = self.process.as_ref().context("Redis is not running")?;
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        Ok(kill_process(Pid::from_child(process), signal)?)
    }

    /// Sends it commands over one connection of its own, without TLS, and gives the first line of each answer.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn tell(&self, commands: &[&str]) -> Result<Vec<String>> {
        let mut stream = TcpStream::connect(self.port.address())?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut answers = Vec::with_capacity(commands.len());
        for command in commands {
            stream.write_all(format!("{command}\r\n").as_bytes())?;
            let mut line = String::new();
            reader.read_line(&mut line)?;
            answers.push(line.trim_end().to_owned());
        }
        Ok(answers)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
