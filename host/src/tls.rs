//! TLS towards clients (`--tls-cert`, `--tls-key`) and upstreams (the system's roots).

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

/// Makes `ring` the one cryptography of the process.
pub fn install_provider() {
    // Fails when one is installed already, which is then the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// What the host's HTTPS listener needs: certificate chain and key, both in PEM.
///
/// # Errors
/// When a file cannot be read, is no PEM, or key and certificate do not belong together.
pub fn acceptor(certificate: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("--tls-cert {}", certificate.display()))?;
    if chain.is_empty() {
        bail!("--tls-cert {}: no certificate in it", certificate.display());
    }
    let private_key = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("--tls-key {}", key.display()))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, private_key)
        .context("--tls-cert and --tls-key do not belong together")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config).into())
}

/// Trusts what the system trusts.
///
/// # Errors
/// A sentence, when the system has no roots.
pub fn client_config() -> Result<ClientConfig, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(format!(
            "no TLS to upstreams: the system has no root certificates (install ca-certificates, or set SSL_CERT_FILE). {}",
            reasons.join("; ")
        ));
    }
    Ok(ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_none_are_named() {
        let error = acceptor(Path::new("/none.pem"), Path::new("/none.key"))
            .err()
            .unwrap();
        assert!(
            error.to_string().contains("--tls-cert /none.pem"),
            "{error}"
        );
    }
}
