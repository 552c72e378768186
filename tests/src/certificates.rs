//! A certificate of 127.0.0.1, and the authority that signed it, which nobody else trusts.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};
use tempfile::TempDir;

use crate::run_to_end;

/// Files in PEM form, gone when dropped.
#[derive(Debug)]
pub struct Certificates(TempDir);

impl Certificates {
    /// Makes them with `openssl`.
    ///
    /// # Errors
    /// When there is no `openssl`, or it fails.
    pub async fn make() -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("spillway-certificates-")
            .tempdir()?;
        let certificates = Self(directory);
        let folder = certificates.0.path();
        let new_key = |name: &str| {
            let subject = format!("/CN=spillway test {name}");
            let file = format!("{name}.key");
            let curve = "ec_paramgen_curve:prime256v1";
            [
                "-newkey", "ec", "-pkeyopt", curve, "-nodes", "-keyout", &file, "-subj", &subject,
            ]
            .map(str::to_owned)
        };
        let mut authority = Command::new("openssl");
        authority
            .args(["req", "-x509", "-days", "2", "-out", "authority.pem"])
            .args(new_key("authority"));
        openssl(authority, folder).await?;
        let mut request = Command::new("openssl");
        request
            .args(["req", "-new", "-out", "server.csr"])
            .args(new_key("server"));
        openssl(request, folder).await?;
        fs::write(
            folder.join("server.ext"),
            "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n",
        )?;
        let mut certificate = Command::new("openssl");
        certificate
            .args(["x509", "-req", "-in", "server.csr", "-days", "2"])
            .args([
                "-CA",
                "authority.pem",
                "-CAkey",
                "authority.key",
                "-CAcreateserial",
            ])
            .args(["-extfile", "server.ext", "-out", "server.pem"]);
        openssl(certificate, folder).await?;
        Ok(certificates)
    }

    /// The authority's certificate, to be trusted.
    pub fn authority(&self) -> PathBuf {
        self.0.path().join("authority.pem")
    }

    /// The certificate that the authority signed for 127.0.0.1.
    pub fn server_certificate(&self) -> PathBuf {
        self.0.path().join("server.pem")
    }

    /// Its key.
    pub fn server_key(&self) -> PathBuf {
        self.0.path().join("server.key")
    }
}

async fn openssl(mut command: Command, folder: &Path) -> Result<()> {
    let outcome = run_to_end(command.current_dir(folder)).await?;
    ensure!(
        outcome.code == Some(0),
        "{command:?} failed:\n{}",
        outcome.everything()
    );
    Ok(())
}
