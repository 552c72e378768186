//! Handing the listening sockets of a running host to the one that takes its place, so that no connection is refused
//! in between: both have the same socket, and the queue of those that wait for `accept` belongs to it.
//!
//! ```text
//!   new: loads the application, connects to FILE ──▶ old: sends its listeners (SCM_RIGHTS, unix(7))
//!   new: listens on them, begins to serve, says "1" ──▶ old: accepts no more, lets run to its end what runs, ends
//!   new: puts a socket of its own in FILE's place
//! ```
//!
//! A new process that dies before it serves says nothing, and the old one goes on.

use std::fs;
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::net::UnixListener;

use crate::log_lines::warn;

/// Listeners of one host: HTTP, and HTTPS where there is a certificate.
const MAX_LISTENERS: usize = 2;

/// How long the old host's answer may take, and the new one's start after it.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the new host says once it serves.
const SERVING: &[u8] = b"1";

/// Listeners that another host has handed over, and the way to tell it that they serve.
#[derive(Debug)]
pub struct Inherited {
    listeners: Vec<TcpListener>,
    old: UnixStream,
}

impl Inherited {
    /// Asks the host at `file`; `None` where there is none.
    ///
    /// # Errors
    /// Where there is one that does not hand its listeners over.
    pub fn ask(file: &Path) -> anyhow::Result<Option<Self>> {
        let old = match UnixStream::connect(file) {
            Ok(old) => old,
            // None, or one that has ended.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::ConnectionRefused
                ) =>
            {
                return Ok(None);
            }
            Err(error) => {
                return Err(error).with_context(|| format!("--hand-over {}", file.display()));
            }
        };
        let listeners = receive(&old).with_context(|| {
            format!(
                "--hand-over {}: the running host does not hand its listeners over",
                file.display()
            )
        })?;
        Ok(Some(Self { listeners, old }))
    }

    /// The listener at this address, if the other host had it.
    pub fn take(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let place = self
            .listeners
            .iter()
            .position(|listener| listener.local_addr().is_ok_and(|own| own == address))?;
        Some(self.listeners.swap_remove(place))
    }

    /// Says that this host serves, so that the other one ends.
    pub fn serving(mut self) {
        for unused in self.listeners.iter().flat_map(TcpListener::local_addr) {
            warn(&format!(
                "warning: nobody listens on {unused} any more: the process that this one replaces did"
            ));
        }
        // One that has ended meanwhile needs nothing more.
        let _ = self.old.write_all(SERVING);
    }
}

/// Where the next host asks for the listeners.
#[derive(Debug)]
pub struct HandOver {
    file: PathBuf,
    socket: UnixListener,
    listeners: Vec<TcpListener>,
    /// Whether the file is the next host's by now.
    was_accepted: AtomicBool,
}

impl Drop for HandOver {
    fn drop(&mut self) {
        if !self.was_accepted.load(Ordering::Relaxed) {
            // Whoever comes now finds nobody, and listens by itself.
            let _ = fs::remove_file(&self.file);
        }
    }
}

impl HandOver {
    /// Waits at `file`, in whatever's place is there.
    ///
    /// # Errors
    /// When the file cannot be made, or another one has its name.
    pub fn open(file: &Path, listeners: Vec<TcpListener>) -> anyhow::Result<Self> {
        let what = || format!("--hand-over {}", file.display());
        if fs::symlink_metadata(file).is_ok_and(|found| !found.file_type().is_socket()) {
            bail!(
                "--hand-over {}: there is a file of this name that is no socket; name another one",
                file.display()
            );
        }
        let beside = file.with_extension(format!("{}.new", std::process::id()));
        // Left behind by a process of the same number, long ago.
        let _ = fs::remove_file(&beside);
        let socket = UnixListener::bind(&beside).with_context(what)?;
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).with_context(what)?;
        fs::rename(&beside, file).with_context(what)?;
        Ok(Self {
            file: file.to_owned(),
            socket,
            listeners,
            was_accepted: AtomicBool::new(false),
        })
    }

    /// Ends when another host has taken over.
    pub async fn taken(&self) {
        loop {
            let taken = match self.socket.accept().await {
                Ok((stream, _)) => self.give(stream).await,
                Err(error) => Err(error.into()),
            };
            match taken {
                Ok(()) => {
                    self.was_accepted.store(true, Ordering::Relaxed);
                    return;
                }
                Err(error) => {
                    warn(&format!(
                        "--hand-over {}: another process asked for the listeners and did not take over: {error:#}",
                        self.file.display()
                    ));
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn give(&self, stream: tokio::net::UnixStream) -> anyhow::Result<()> {
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        let listeners = self
            .listeners
            .iter()
            .map(TcpListener::try_clone)
            .collect::<Result<Vec<_>, _>>()?;
        tokio::task::spawn_blocking(move || {
            stream.set_read_timeout(Some(PATIENCE))?;
            send(&stream, &listeners)?;
            let mut said = [0; SERVING.len()];
            (&stream).read_exact(&mut said).context("it said nothing")
        })
        .await?
    }
}

fn send(stream: &UnixStream, listeners: &[TcpListener]) -> anyhow::Result<()> {
    let descriptors: Vec<BorrowedFd<'_>> = listeners.iter().map(|it| it.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_LISTENERS))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    message.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(
        stream,
        &[IoSlice::new(SERVING)],
        &mut message,
        SendFlags::empty(),
    )?;
    Ok(())
}

fn receive(stream: &UnixStream) -> anyhow::Result<Vec<TcpListener>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_LISTENERS))];
    let mut message = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0; SERVING.len()];
    recvmsg(
        stream,
        &mut [IoSliceMut::new(&mut byte)],
        &mut message,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut listeners = Vec::new();
    for part in message.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = part {
            listeners.extend(descriptors.map(TcpListener::from));
        }
    }
    anyhow::ensure!(!listeners.is_empty(), "it sent none");
    Ok(listeners)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_goes_from_one_to_the_other_with_those_that_wait() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hand-over");
        assert!(Inherited::ask(&file).unwrap().is_none());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let waiting = std::net::TcpStream::connect(address).unwrap();
        let old = HandOver::open(&file, vec![listener]).unwrap();
        let asked = file.clone();
        let new = tokio::task::spawn_blocking(move || {
            let mut inherited = Inherited::ask(&asked).unwrap().unwrap();
            assert!(inherited.take("127.0.0.1:1".parse().unwrap()).is_none());
            let listener = inherited.take(address).unwrap();
            inherited.serving();
            listener
        });
        old.taken().await;
        drop(old);
        let listener = new.await.unwrap();
        let (_, client) = listener.accept().unwrap();
        assert_eq!(client, waiting.local_addr().unwrap());
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.yaml");
        fs::write(&file, "agents: []").unwrap();
        assert!(HandOver::open(&file, Vec::new()).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "agents: []");
    }

    #[tokio::test]
    async fn who_ends_without_a_successor_takes_the_file_along() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hand-over");
        drop(HandOver::open(&file, Vec::new()).unwrap());
        assert!(!file.exists());
    }

    #[tokio::test]
    async fn one_that_asks_and_dies_leaves_the_other_at_work() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hand-over");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let old = HandOver::open(&file, vec![listener]).unwrap();
        let asked = file.clone();
        let asking = tokio::task::spawn_blocking(move || {
            drop(Inherited::ask(&asked).unwrap().unwrap());
            let inherited = Inherited::ask(&asked).unwrap().unwrap();
            inherited.serving();
        });
        old.taken().await;
        asking.await.unwrap();
    }
}
