//! A real nginx, set up as Dify sets it up.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, bail};
use spillway_tests::{
    repository_root,
    standin::{ReservedPort, StandinDify},
    until,
};
use tempfile::TempDir;

/// A real nginx in front of a Dify, gone when dropped.
#[derive(Debug)]
pub(crate) struct Nginx {
    process: Child,
    directory: TempDir,
    port: ReservedPort,
}

impl Nginx {
    /// Starts one, with the variables as Dify's `.env.example` has them.
    ///
    /// # Errors
    /// When there is no nginx, or it ends at once.
    pub(crate) async fn start(dify: &StandinDify) -> Result<Self> {
        let port = ReservedPort::reserve()?;
        let directory = tempfile::Builder::new()
            .prefix("spillway-nginx-")
            .tempdir()?;
        let prefix = directory.path().display().to_string();
        let number = port.address().port().to_string();
        // Collaboration mode has a container of its own for this; the stand-in's back end answers in its place.
        let socket_io = dify.api.address().to_string();
        let template = repository_root().join("tests/nginx/dify.conf.template");
        let mut configuration = fs::read_to_string(&template)?;
        for (variable, value) in [
            ("PREFIX", prefix.as_str()),
            ("NGINX_PORT", &number),
            ("NGINX_SERVER_NAME", "_"),
            ("NGINX_KEEPALIVE_TIMEOUT", "65"),
            ("NGINX_CLIENT_MAX_BODY_SIZE", "100M"),
            ("NGINX_PROXY_READ_TIMEOUT", "3600s"),
            ("NGINX_PROXY_SEND_TIMEOUT", "3600s"),
            ("NGINX_SOCKET_IO_UPSTREAM", &socket_io),
            ("API", &dify.api.url()),
            ("WEB", &dify.web.url()),
            ("PLUGIN_DAEMON", &dify.plugin_daemon.url()),
        ] {
            configuration = configuration.replace(&format!("${{{variable}}}"), value);
        }
        let file = directory.path().join("nginx.conf");
        fs::write(&file, configuration)?;
        // Debian's is in /usr/sbin, which is in no plain user's path.
        let path = std::env::var("PATH").unwrap_or_default();
        let process = Command::new("nginx")
            .env("PATH", format!("{path}:/usr/sbin"))
            .arg("-p")
            .arg(directory.path())
            .arg("-e")
            .arg(directory.path().join("error.log"))
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("nginx is missing: ./scripts/test installs it (Debian: apt-get install nginx-light)")?;
        let mut nginx = Self {
            process,
            directory,
            port,
        };
        let address = nginx.address();
        until("nginx listens", async || {
            if let Some(status) = nginx.process.try_wait()? {
                bail!("nginx ended with {status}:\n{}", nginx.log());
            }
            Ok(TcpStream::connect(address).ok())
        })
        .await?;
        Ok(nginx)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// What it has complained of so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("error.log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
