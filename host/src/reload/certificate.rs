//! The certificate for HTTPS, which can be replaced.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError, RwLock};

use tokio_rustls::TlsAcceptor;

use super::files::WatchedFiles;
use crate::tls;

/// Certificate and key. Connections that come after they were read anew get the new ones.
pub struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
    files: Mutex<WatchedFiles>,
    acceptor: RwLock<TlsAcceptor>,
}

impl Certificate {
    /// Reads them.
    ///
    /// # Errors
    /// When a file cannot be read, is no PEM, or key and certificate do not belong together.
    pub fn read(certificate: PathBuf, key: PathBuf) -> anyhow::Result<Self> {
        let files = WatchedFiles::new([certificate.clone(), key.clone()]);
        let acceptor = tls::acceptor(&certificate, &key)?;
        Ok(Self {
            certificate,
            key,
            files: Mutex::new(files),
            acceptor: RwLock::new(acceptor),
        })
    }

    /// Those in force.
    pub fn acceptor(&self) -> TlsAcceptor {
        let acceptor = self.acceptor.read();
        acceptor.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// See [`WatchedFiles::have_changed`].
    pub(super) fn have_changed(&self, at_once: bool) -> bool {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.have_changed(at_once)
    }

    /// Reads them anew. What cannot be used leaves the former in force.
    ///
    /// # Errors
    /// As [`Certificate::read`].
    pub(super) fn renew(&self) -> anyhow::Result<()> {
        let acceptor = tls::acceptor(&self.certificate, &self.key)?;
        *self
            .acceptor
            .write()
            .unwrap_or_else(PoisonError::into_inner) = acceptor;
        Ok(())
    }
}
