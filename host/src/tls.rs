//! TLS towards clients (`--tls-cert`, `--tls-key`) and upstreams (the system's roots).

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig, RootCertStore, ServerConfig};
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
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                anyhow::anyhow!("--tls-cert and --tls-key do not belong together")
            }
            error => anyhow::Error::from(error).context("--tls-cert and --tls-key cannot be used"),
        })?;
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

/// What is wrong with a server's TLS; what rustls says itself holds names of its types.
pub fn in_words(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(certificate) = error else {
        return error.to_string();
    };
    let why = match certificate {
        CertificateError::UnknownIssuer => {
            "is signed by nobody whom this machine trusts (SSL_CERT_FILE may name a file of others)"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet: is this machine's clock right?"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "is for other names"
        }
        CertificateError::Revoked => "is revoked",
        CertificateError::BadEncoding => "cannot be read",
        _ => return error.to_string(),
    };
    format!("its certificate {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificates_fault_is_told_without_names_of_types() {
        let explained = |error| in_words(&rustls::Error::InvalidCertificate(error));
        let foreign = explained(CertificateError::NotValidForNameContext {
            expected: "a.example".try_into().unwrap(),
            presented: vec!["DnsName(\"b.example\")".to_owned()],
        });
        assert_eq!(foreign, "its certificate is for other names");
        let unknown = explained(CertificateError::UnknownIssuer);
        assert!(unknown.contains("SSL_CERT_FILE"), "{unknown}");
        assert!(!in_words(&rustls::Error::DecryptError).is_empty());
    }

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
