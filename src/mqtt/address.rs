//! Where a broker is, and what certificate it must show.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, pem, pem::PemObject};

/// Where a broker listens.
#[derive(Clone)]
pub struct BrokerAddress {
    /// Name or address. With TLS it must be in the broker's certificate, and cannot be an IPv6 address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// What to trust, for TLS ([`trusting`]); `None` speaks plain TCP.
    pub tls: Option<Arc<ClientConfig>>,
}

/// A text holds no certificate authority.
#[derive(Debug, thiserror::Error)]
pub enum BadAuthority {
    /// Not PEM, or not a certificate.
    #[error("the certificate authority cannot be read")]
    Unreadable(#[source] pem::Error),
    /// No certificate that could be trusted.
    #[error("the certificate authority cannot be trusted")]
    Untrusted(#[source] rustls::Error),
    /// The text holds no certificate at all.
    #[error("there is no certificate in the certificate authority's file")]
    Empty,
}

/// A TLS client that trusts the authorities in `ca_pem` and nobody else. Share one among thousands of connections.
///
/// # Errors
/// [`BadAuthority`] where `ca_pem` holds no usable certificate.
pub fn trusting(ca_pem: &[u8]) -> Result<Arc<ClientConfig>, BadAuthority> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem) {
        roots
            .add(certificate.map_err(BadAuthority::Unreadable)?)
            .map_err(BadAuthority::Untrusted)?;
    }
    if roots.is_empty() {
        return Err(BadAuthority::Empty);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(BadAuthority::Untrusted)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}
