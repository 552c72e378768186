//! A gateway that runs for a test.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use spillway_standin::{
    ReservedPort,
    client::{Connection, Incoming, Request, Response},
};
use tempfile::TempDir;

use crate::{
    launch::{prepare, up, wait_until_live, write_normal_form},
    process::Process,
};

/// What the hosts log when an instance dies.
const TRAPS: [&str; 4] = [
    "an instance died",
    "wasm trap",
    "wasm backtrace",
    "panicked at",
];

/// A task of Spin's own that died: the one of a request whose target is none, for one.
const SPINS_OWN: &str = "thread 'tokio-rt-worker'";

/// What a gateway is started with, beyond `gateway.yaml`.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Entries of the variable `secrets`, by name.
    pub secrets: Vec<(String, String)>,
    /// Variables of the host's environment.
    pub environment: Vec<(String, String)>,
    /// Where Spin keeps its state. Left out: in the gateway's own directory, gone with it.
    pub state_directory: Option<PathBuf>,
    /// The text of `runtime-config.toml`.
    pub runtime_config: Option<String>,
    /// What components may reach. Left out: everything on loopback.
    pub allowed_outbound_hosts: Option<Vec<String>>,
    /// Whether they may reach what `gateway.yaml` names as well, as they may by default on the embedded host.
    pub grants_hosts: bool,
    /// The manifest, below the repository's root. Left out: the application's own `spin.toml`.
    pub manifest: Option<PathBuf>,
    /// A [`HostName`](crate::HostName)'s file. Left out: names are the system's.
    pub host_names: Option<PathBuf>,
    /// Whether the host reads `gateway.yaml` itself and watches it, which the embedded host alone does; else it is given
    /// the normal form.
    pub watches_file: bool,
    /// Whether the host tries upstreams out at start, which the embedded host alone does.
    pub probes_upstreams: bool,
    /// Further arguments of `up`, which the embedded host alone knows.
    pub arguments: Vec<String>,
    /// Where it listens. Left out: on a port of its own.
    pub listen: Option<SocketAddr>,
}

impl Options {
    /// With one more secret.
    #[must_use]
    pub fn secret(mut self, name: &str, value: &str) -> Self {
        self.secrets.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With further arguments of `up`.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|it| (*it).to_owned()));
        self
    }

    /// For a test of what an instance remembers: instances live as long as they do by default, on the harsh host, too.
    #[must_use]
    pub fn lasting(self) -> Self {
        self.arguments(&["--max-instance-reuse-count", "128"])
            .arguments(&["--idle-instance-timeout", "1s"])
    }

    /// With one more variable of the host's environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A gateway that runs until dropped. Its log is printed when the test fails.
#[derive(Debug)]
pub struct Gateway {
    // Dropped in this order: the process before its directory and its port.
    process: Process,
    directory: TempDir,
    _port: Option<ReservedPort>,
    address: SocketAddr,
}

impl Gateway {
    /// Starts one with this `gateway.yaml`, and waits until it is live.
    ///
    /// # Errors
    /// When something is not built, the configuration is refused, or it does not get live in 180 s.
    pub async fn start(yaml: &str, options: Options) -> Result<Self> {
        let directory = prepare(yaml, &options)?;
        write_normal_form(directory.path()).await?;
        if let Some(address) = options.listen {
            let mut command = up(directory.path(), address, &options)?;
            let mut process = Process::start(&mut command, &directory.path().join("gateway.log"))?;
            wait_until_live(&mut process, address).await?;
            return Ok(Self {
                process,
                directory,
                _port: None,
                address,
            });
        }
        // The port stays reserved while the gateway runs. Should a host refuse to share it with a socket that
        // does not listen, the reservation is given up just before the start, and a lost race is tried again.
        let mut attempts = 5_u8;
        let mut reserve = true;
        loop {
            let port = ReservedPort::reserve()?;
            let address = port.address();
            let port = reserve.then_some(port);
            let mut command = up(directory.path(), address, &options)?;
            let mut process = Process::start(&mut command, &directory.path().join("gateway.log"))?;
            match wait_until_live(&mut process, address).await {
                Ok(()) => {
                    return Ok(Self {
                        process,
                        directory,
                        _port: port,
                        address,
                    });
                }
                Err(_) if attempts > 0 && process.log().contains("in use") => {
                    attempts = attempts.saturating_sub(1);
                    reserve = false;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its own directory, with `spin.toml`, `gateway.yaml` and `gateway.json`.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Writes its `gateway.yaml` anew, in one go, as careful editors do.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn configure(&self, yaml: &str) -> Result<()> {
        let folder = self.directory();
        std::fs::write(folder.join("gateway.yaml.new"), yaml)?;
        Ok(std::fs::rename(
            folder.join("gateway.yaml.new"),
            folder.join("gateway.yaml"),
        )?)
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// A new connection to it.
    ///
    /// # Errors
    /// When it takes none.
    pub async fn connect(&self) -> Result<Connection> {
        Ok(Connection::open(self.address).await?)
    }

    /// Sends a request on a new connection and waits for the head of the answer.
    ///
    /// # Errors
    /// When there is none.
    pub async fn begin(&self, request: &Request) -> Result<Incoming> {
        let incoming = self.connect().await?.call(request).await;
        incoming.with_context(|| format!("{} {}", request.method, request.target))
    }

    /// Sends a request on a new connection and waits for the whole answer.
    ///
    /// # Errors
    /// When there is none.
    pub async fn call(&self, request: &Request) -> Result<Response> {
        Ok(self.begin(request).await?.finish().await?)
    }

    /// The most memory that its process has held so far, in bytes. (Of the embedded host; Spin has several.)
    ///
    /// # Errors
    /// When `/proc` does not tell.
    pub fn peak_memory(&self) -> Result<u64> {
        self.process.memory("VmHWM")
    }

    /// Asserts that no instance has died so far. Stopping the gateway asserts it as well, so every test does.
    pub fn assert_no_trap(&self) {
        let log = self.log();
        let trap = log
            .lines()
            .filter(|line| !line.contains(SPINS_OWN))
            .find_map(|line| {
                let mut signs = TRAPS.into_iter();
                signs.find(|sign| line.contains(sign))
            });
        assert_eq!(trap, None, "an instance has died:\n{log}");
    }

    /// Sends it SIGHUP.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn hang_up(&self) -> Result<()> {
        self.process.hang_up()
    }

    /// Asks it to end (SIGTERM) without waiting for it.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn terminate(&self) -> Result<()> {
        self.process.terminate()
    }

    /// Ends it at once (SIGKILL).
    ///
    /// # Errors
    /// When it has ended already.
    pub fn kill(&self) -> Result<()> {
        self.process.kill()
    }

    /// Waits until its process has ended, and gives the exit code.
    ///
    /// # Errors
    /// When it has not after 30 s.
    pub async fn exit_code(&mut self) -> Result<Option<i32>> {
        crate::until("the gateway's end", async || Ok(self.process.exited()?))
            .await
            .map(|exit| exit.code())
    }

    /// Ends it and waits for that.
    pub fn stop(self) {}
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // A test that fails already says why, and instances may well die when their host ends.
        if !std::thread::panicking() && !self.process.is_ending() {
            self.assert_no_trap();
        }
    }
}
