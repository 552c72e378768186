//! TLS for a client that speaks none.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

use crate::Certificates;

/// Takes connections, and leads each on over TLS to one server. Ends when dropped; what runs goes on.
#[derive(Debug)]
pub struct TlsTunnel {
    address: SocketAddr,
    shown: Arc<Mutex<Vec<CertificateDer<'static>>>>,
    accepting: JoinHandle<()>,
}

impl TlsTunnel {
    /// To this server, whose certificate one of these authorities has signed.
    ///
    /// # Errors
    /// When an authority's certificate cannot be read, or no port is free.
    pub async fn to(server: SocketAddr, authorities: &[&Certificates]) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(CertificateDer::from_pem_file(authority.authority())?)?;
        }
        let config = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shown = Arc::<Mutex<Vec<_>>>::default();
        let seen = Arc::clone(&shown);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (connector, seen) = (connector.clone(), Arc::clone(&seen));
                tokio::spawn(async move {
                    // A server that cannot be reached, or trusted, is a connection that breaks.
                    lead(client, server, connector, &seen).await.ok()
                });
            }
        });
        Ok(Self {
            address,
            shown,
            accepting,
        })
    }

    /// Where it takes connections.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate that the server showed last.
    ///
    /// # Errors
    /// When it has shown none.
    pub fn certificate(&self) -> Result<Vec<u8>> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let last = shown
            .last()
            .context("the server has shown no certificate")?;
        Ok(last.to_vec())
    }
}

impl Drop for TlsTunnel {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn lead(
    mut client: TcpStream,
    server: SocketAddr,
    connector: TlsConnector,
    seen: &Mutex<Vec<CertificateDer<'static>>>,
) -> Result<()> {
    let stream = TcpStream::connect(server).await?;
    let name = ServerName::IpAddress(server.ip().into());
    let mut stream = connector.connect(name, stream).await?;
    let shown = stream.get_ref().1.peer_certificates();
    if let Some(certificate) = shown.and_then(|chain| chain.first()) {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push(certificate.clone().into_owned());
    }
    copy_bidirectional(&mut client, &mut stream).await?;
    Ok(())
}
