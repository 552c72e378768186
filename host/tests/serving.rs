//! Listening over HTTP and HTTPS, with an application that has no components.
#![expect(clippy::unwrap_used, reason = "a failed test is a panic")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use spillway_host::command::{Command, Running};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const MANIFEST: &str = "spin_manifest_version = 2
[application]
name = \"empty\"
version = \"1.0.0\"
[trigger]
http = []
";

async fn start(folder: &Path, arguments: &[&str]) -> Running {
    let manifest = folder.join("spin.toml");
    std::fs::write(&manifest, MANIFEST).unwrap();
    let mut all = vec![
        "spillway",
        "up",
        "--listen",
        "127.0.0.1:0",
        "--tls-listen",
        "127.0.0.1:0",
    ];
    all.extend(["--from", manifest.to_str().unwrap()]);
    all.extend(arguments);
    let Command::Up(arguments) = Command::try_parse_from(all).unwrap() else {
        unreachable_command()
    };
    arguments.start().await.unwrap()
}

#[expect(clippy::panic, reason = "a failed test is a panic")]
fn unreachable_command() -> ! {
    panic!("`up` was asked for")
}

async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !complete(&answer) {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0);
    }
    String::from_utf8(answer).unwrap()
}

/// Whether an answer with a short `content-length` has come.
fn complete(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|it| it.strip_prefix("content-length: "));
    length.is_some_and(|length| body.len() >= length.parse().unwrap())
}

async fn https(address: SocketAddr) -> impl AsyncRead + AsyncWrite + Unpin {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(data.join("localhost.pem")).unwrap())
        .unwrap();
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from("localhost").unwrap(), stream)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_answers_for_itself_and_drains() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), &[]).await;
    let mut stream = TcpStream::connect(running.server.http).await.unwrap();
    let health = ask(&mut stream, "/.well-known/spin/health").await;
    assert!(
        health.starts_with("HTTP/1.1 200 OK\r\n") && health.ends_with("\r\n\r\nOK"),
        "{health}"
    );
    let info = ask(&mut stream, "/.well-known/spin/info").await;
    assert!(
        info.contains("\"name\": \"empty\"") && info.contains("1.0.0"),
        "{info}"
    );
    let missing = ask(&mut stream, "/elsewhere").await;
    assert!(missing.starts_with("HTTP/1.1 404 "), "{missing}");

    let begun = Instant::now();
    assert!(running.server.drain(Duration::from_secs(10)).await);
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "an idle connection kept it"
    );
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_tls_client_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let (certificate, key) = (data.join("localhost.pem"), data.join("localhost.key"));
    let arguments = [
        "--tls-cert",
        certificate.to_str().unwrap(),
        "--tls-key",
        key.to_str().unwrap(),
    ];
    let running = start(folder.path(), &arguments).await;
    let address = running.server.https.unwrap();
    let silent = TcpStream::connect(address).await.unwrap();
    let mut stream = https(address).await;
    let health = ask(&mut stream, "/.well-known/spin/health").await;
    assert!(health.starts_with("HTTP/1.1 200 "), "{health}");
    let mut plain = TcpStream::connect(running.server.http).await.unwrap();
    assert!(
        ask(&mut plain, "/.well-known/spin/health")
            .await
            .contains("200")
    );
    assert!(
        running.server.drain(Duration::from_secs(10)).await,
        "the silent client kept it"
    );
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_head_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), &["--header-timeout", "200ms"]).await;
    let mut stream = TcpStream::connect(running.server.http).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost").await.unwrap();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "the connection stayed open");
}
