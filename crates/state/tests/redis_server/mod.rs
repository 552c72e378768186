//! A Redis of the test's own.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Stopped when dropped.
pub struct RedisServer {
    process: Child,
    port: u16,
}

impl RedisServer {
    /// On a free port of the loopback interface, keeping nothing on disk.
    pub fn start() -> Self {
        // Between finding a free port and Redis' taking it somebody else may.
        for _ in 0..5 {
            if let Some(server) = Self::try_start() {
                return server;
            }
        }
        panic!("redis-server does not start: run `redis-server --port 0` to see why");
    }

    fn try_start() -> Option<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let process = process.unwrap_or_else(|error| {
            panic!("this test needs redis-server, install it (Debian: `apt-get install redis-server`): {error}")
        });
        let mut server = Self { process, port };
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline && server.process.try_wait().unwrap().is_none() {
            if server.try_connect().is_some() {
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    pub fn connect(&self) -> redis::Connection {
        self.try_connect().unwrap()
    }

    fn try_connect(&self) -> Option<redis::Connection> {
        let address = format!("redis://127.0.0.1:{}", self.port);
        let client = redis::Client::open(address).unwrap();
        let mut connection = client.get_connection().ok()?;
        redis::cmd("PING").exec(&mut connection).ok()?;
        Some(connection)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
